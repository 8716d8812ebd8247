/**
 * The host through the holder of a mount: what waits on our own disks waits in its children, so a
 * daemon that is killed ends at once, and what it began is done all the same.
 */
import type { Addon, LoopOptions, MountHost, MountOptions } from './addon.js';

export class HeldHost implements MountHost {
  constructor(
    private readonly addon: Pick<Addon, 'askHolder'>,
    private readonly socketPath: string,
  ) {}

  attachLoop({ path, readOnly, sectorBytes }: LoopOptions): Promise<string> {
    return this.#ask('attachLoop', path, flag(readOnly), String(sectorBytes));
  }

  async detachLoop(device: string): Promise<void> {
    await this.#ask('detachLoop', device);
  }

  async mountFilesystem(mount: MountOptions): Promise<void> {
    const { source, directory, filesystem, readOnly, options } = mount;
    await this.#ask('mountFilesystem', source, directory, filesystem, flag(readOnly), options);
  }

  async unmountFilesystem(directory: string, lazy: boolean): Promise<void> {
    await this.#ask('unmountFilesystem', directory, flag(lazy));
  }

  async syncFilesystem(directory: string): Promise<void> {
    await this.#ask('syncFilesystem', directory);
  }

  async freezeFilesystem(directory: string): Promise<void> {
    await this.#ask('freezeFilesystem', directory);
  }

  async thawFilesystem(directory: string): Promise<void> {
    await this.#ask('thawFilesystem', directory);
  }

  async dropCaches(): Promise<void> {
    await this.#ask('dropCaches');
  }

  #ask(operation: keyof MountHost, ...words: string[]): Promise<string> {
    return this.addon.askHolder(this.socketPath, ['do', operation, ...words]);
  }
}

const flag = (value: boolean): string => (value ? '1' : '0');
