/**
 * The host through the holder of a mount: what waits on our own disks waits in its children, so a
 * daemon that is killed ends at once, and what it began is done all the same. In the moment between
 * a holder's death and its successor this process does it itself.
 */
import { Fault } from '../fault.js';
import type { Addon, LoopOptions, MountHost, MountOptions } from './addon.js';

export class HeldHost implements MountHost {
  /** By directory and source. */
  readonly #frozen = new Map<string, readonly [string, string]>();

  constructor(
    private readonly addon: Pick<Addon, 'askHolder' | keyof MountHost>,
    private readonly socketPath: string,
  ) {}

  keepFrozen(directory: string, source: string): void {
    this.#frozen.set(`${directory} ${source}`, [directory, source]);
  }

  /** Tells a new holder what is frozen. */
  async informHolder(): Promise<void> {
    for (const frozen of this.#frozen.values()) {
      const told = this.addon.askHolder(this.socketPath, ['keep', ...frozen]);
      // Someone may have unmounted it.
      await told.catch(() => undefined);
    }
  }

  attachLoop(loop: LoopOptions): Promise<string> {
    const { path, readOnly, sectorBytes } = loop;
    const words = ['attachLoop', path, flag(readOnly), String(sectorBytes)];
    return this.#ask(words, () => this.addon.attachLoop(loop));
  }

  async detachLoop(device: string): Promise<void> {
    await this.#ask(['detachLoop', device], () => this.addon.detachLoop(device));
  }

  async growLoop(device: string, path: string): Promise<void> {
    await this.#ask(['growLoop', device, path], () => this.addon.growLoop(device, path));
  }

  async mountFilesystem(mount: MountOptions): Promise<void> {
    const { source, directory, filesystem, readOnly, options } = mount;
    const words = ['mountFilesystem', source, directory, filesystem, flag(readOnly), options];
    await this.#ask(words, () => this.addon.mountFilesystem(mount));
  }

  async unmountFilesystem(directory: string, lazy: boolean): Promise<void> {
    const words = ['unmountFilesystem', directory, flag(lazy)];
    await this.#ask(words, () => this.addon.unmountFilesystem(directory, lazy));
  }

  async syncFilesystem(directory: string): Promise<void> {
    await this.#ask(['syncFilesystem', directory], () => this.addon.syncFilesystem(directory));
  }

  async freezeFilesystem(directory: string, source: string): Promise<void> {
    const words = ['freezeFilesystem', directory, source];
    await this.#ask(words, () => this.addon.freezeFilesystem(directory, source));
    this.keepFrozen(directory, source);
  }

  async thawFilesystem(directory: string, source: string): Promise<void> {
    const words = ['thawFilesystem', directory, source];
    this.#frozen.delete(`${directory} ${source}`);
    await this.#ask(words, () => this.addon.thawFilesystem(directory, source));
  }

  async checkFilesystem(directory: string): Promise<void> {
    await this.#ask(['checkFilesystem', directory], () => this.addon.checkFilesystem(directory));
  }

  async dropCaches(): Promise<void> {
    await this.#ask(['dropCaches'], () => this.addon.dropCaches());
  }

  /** A holder that finds no file says the same as there being no holder: asking twice does no harm. */
  async #ask<Result>(words: string[], byItself: () => Promise<Result>): Promise<Result | string> {
    try {
      return await this.addon.askHolder(this.socketPath, ['do', ...words]);
    } catch (error) {
      if (error instanceof Fault && error.code === 'FILE_NOT_FOUND') return byItself();
      throw error;
    }
  }
}

const flag = (value: boolean): string => (value ? '1' : '0');
