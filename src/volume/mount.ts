/** The filesystem of one attached disk on one directory, through a loop device on its FUSE file. */
import type { MountHost } from '../device/index.js';
import { Fault } from '../fault.js';
import {
  assertEmpty,
  assertFilesystem,
  loopSectorBytes,
  makeFilesystem,
  mountOptions,
  probeContent,
} from './filesystem.js';
import type { MountEntry } from './mount-table.js';

export interface MountSettings {
  /** "volume db", for messages. */
  readonly disk: string;
  readonly directory: string;
  readonly readOnly: boolean;
}

/**
 * Steps on one mount run one after the other, whoever asks: a verb, or a key that comes and goes.
 */
export class Mount {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly #host: MountHost;
  readonly #disk: string;
  #filesystem: string | undefined;
  #loop: string | undefined;
  #mounted = false;
  #abandoned = false;
  #freezing: Promise<void> | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(host: MountHost, settings: MountSettings) {
    this.#host = host;
    this.#disk = settings.disk;
    this.directory = settings.directory;
    this.readOnly = settings.readOnly;
  }

  get isUp(): boolean {
    return this.#mounted;
  }

  get filesystem(): string | undefined {
    return this.#filesystem;
  }

  get loop(): string | undefined {
    return this.#loop;
  }

  /** Mounts `fusePath`, after making a filesystem when `mkfs` says which. On failure nothing is left. */
  up(fusePath: string, mkfs?: string): Promise<void> {
    return this.#next(async () => {
      if (this.#mounted || this.#abandoned) return;
      const present = await probeContent(fusePath);
      if (mkfs !== undefined) assertEmpty(present, this.#disk);
      const filesystem = mkfs ?? assertFilesystem(present, this.#disk);
      this.#loop = await this.#host.attachLoop({
        path: fusePath,
        readOnly: this.readOnly,
        sectorBytes: loopSectorBytes(present),
      });
      try {
        if (mkfs !== undefined) await makeFilesystem(this.#loop, mkfs, this.#disk);
        await this.#mount(this.#loop, filesystem);
      } catch (error) {
        await this.#releaseLoop();
        throw error;
      }
    });
  }

  /**
   * Goes on with what a former daemon mounted and a holder has kept up. That daemon may have been
   * killed while it was frozen.
   */
  adopt({ source, filesystem }: Pick<MountEntry, 'source' | 'filesystem'>): Promise<void> {
    return this.#next(async () => {
      this.#loop = source;
      this.#filesystem = filesystem;
      this.#mounted = true;
      // INVALID_ARGUMENT, as for a filesystem that is not frozen, is the rule.
      await this.#host.thawFilesystem(this.directory).catch(() => undefined);
    });
  }

  /** Unmounts and gives the loop device back; throws BUSY while files are open, and stays up then. */
  down(): Promise<void> {
    return this.#next(async () => {
      if (this.#mounted) await this.#unmount(false);
      await this.#releaseLoop();
    });
  }

  /** Like down, but a busy filesystem leaves the tree all the same. True when it was busy. */
  downAtOnce(): Promise<boolean> {
    return this.#next(async () => {
      const busy = this.#mounted && !(await this.#unmountsCleanly());
      if (busy) await this.#unmount(true);
      await this.#releaseLoop();
      return busy;
    });
  }

  /** From now on `up` does nothing; whatever is up comes down. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.downAtOnce();
  }

  /** Writes out what is dirty. Thaws first, for a frozen filesystem must never be unmounted. */
  async sync(): Promise<void> {
    if (!this.#mounted) return;
    if (this.#freezing !== undefined) await this.#thaw();
    await this.#host.syncFilesystem(this.directory);
  }

  /** Runs `work` while the filesystem is frozen, so that what is below it is clean. */
  async whileFrozen<Result>(work: () => Promise<Result>): Promise<Result> {
    if (!this.#mounted || this.readOnly) return work();
    this.#freezing = this.#freeze();
    try {
      await this.#freezing;
      return await work();
    } finally {
      await this.#thaw();
    }
  }

  async #freeze(): Promise<void> {
    try {
      await this.#host.freezeFilesystem(this.directory);
    } catch (error) {
      if (!(error instanceof Fault) || error.code === 'BUSY') throw this.#frozenByOthers(error);
      // Not every filesystem can freeze; what is written out then is what a power cut would leave.
      await this.#host.syncFilesystem(this.directory);
    }
  }

  #frozenByOthers(error: unknown): unknown {
    if (!(error instanceof Fault)) return error;
    return new Fault('BUSY', `${this.#disk} is frozen by another program at ${this.directory}`, {
      cause: error,
      hint: `fsfreeze --unfreeze ${this.directory}`,
    });
  }

  async #thaw(): Promise<void> {
    const freezing = this.#freezing;
    if (freezing === undefined) return;
    this.#freezing = undefined;
    const froze = await freezing.then(
      () => true,
      () => false,
    );
    // It may have been thawed by someone else, or was only synced: neither is an error.
    if (froze) await this.#host.thawFilesystem(this.directory).catch(() => undefined);
  }

  async #mount(loop: string, filesystem: string): Promise<void> {
    const options = mountOptions(filesystem, this.readOnly);
    const { directory, readOnly } = this;
    try {
      await this.#host.mountFilesystem({ source: loop, directory, filesystem, readOnly, options });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Fault('IO_ERROR', `cannot mount the ${filesystem} of ${this.#disk}: ${why}`, {
        cause,
        hint: 'the kernel says more: dmesg | tail',
      });
    }
    this.#filesystem = filesystem;
    this.#mounted = true;
  }

  async #unmountsCleanly(): Promise<boolean> {
    try {
      await this.#unmount(false);
      return true;
    } catch {
      return false;
    }
  }

  async #unmount(lazy: boolean): Promise<void> {
    await this.#thaw();
    try {
      await this.#host.unmountFilesystem(this.directory, lazy);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      // Someone else has unmounted it: that is what we wanted.
      if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'FILE_NOT_FOUND') {
        throw this.#inUse(error);
      }
    }
    this.#mounted = false;
  }

  #inUse(error: Fault): Fault {
    if (error.code !== 'BUSY') return error;
    return new Fault('BUSY', `${this.#disk} is in use at ${this.directory}`, {
      cause: error,
      hint: `end the programs that use it: fuser -vm ${this.directory}`,
    });
  }

  async #releaseLoop(): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    if (loop !== undefined) await this.#host.detachLoop(loop);
  }

  #next<Result>(step: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(step);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
