/** The filesystem of one attached disk on one directory, through a loop device on its FUSE file. */
import type { MountHost } from '../device/index.js';
import { Fault } from '../fault.js';
import {
  assertEmpty,
  assertFilesystem,
  growFilesystem,
  loopSectorBytes,
  makeFilesystem,
  mountOptions,
  probeContent,
} from './filesystem.js';
import { readMounts, type MountEntry } from './mount-table.js';

export interface MountSettings {
  /** "volume db", for messages. */
  readonly disk: string;
  readonly directory: string;
  readonly readOnly: boolean;
  /** Where it is known before it is mounted. */
  readonly filesystem?: string;
}

export interface Adopted extends Pick<MountEntry, 'source' | 'filesystem'> {
  readonly isLocked: boolean;
}

/** `synced`: it cannot be frozen, and what was dirty then is written out. */
type Froze = 'frozen' | 'synced';

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
  #freezing: Promise<Froze> | undefined;
  #locked = false;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(host: MountHost, settings: MountSettings) {
    this.#host = host;
    this.#disk = settings.disk;
    this.directory = settings.directory;
    this.readOnly = settings.readOnly;
    this.#filesystem = settings.filesystem;
  }

  get isUp(): boolean {
    return this.#mounted;
  }

  /** While its key is lost: frozen, so that nothing below it need answer. */
  get isLocked(): boolean {
    return this.#locked;
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
      if (this.#abandoned) return;
      if (this.#mounted) {
        // A daemon that was killed may not have come to it. Without it, all goes on as it was.
        await this.#growLoop(fusePath).catch(() => undefined);
        return;
      }
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
   * Goes on with what a former daemon mounted and a holder has kept up: locked, if that daemon was
   * killed while it was frozen.
   */
  adopt({ source, filesystem, isLocked }: Adopted): void {
    this.#loop = source;
    this.#filesystem = filesystem;
    this.#mounted = true;
    this.#locked = isLocked;
    // Nothing waits to be written on a read-only one: it is not frozen.
    if (!isLocked || this.readOnly) return;
    this.#freezing = Promise.resolve('frozen');
    this.#host.keepFrozen?.(this.directory, source);
  }

  /**
   * Unmounts and gives the loop device back; throws BUSY while files are open, and stays up then.
   * `refuse` is called before a locked one is thawed, and must make writes fail.
   */
  down(refuse: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    return this.#next(async () => {
      if (this.#mounted && this.#locked && this.#host.keepFrozen === undefined) await refuse();
      if (this.#mounted) await this.#unmount(false, refuse);
      await this.#releaseLoop();
    });
  }

  /** Its disk has grown: so does its loop device, locked or not. */
  growLoop(fusePath: string): Promise<void> {
    return this.#next(() => this.#growLoop(fusePath));
  }

  /** Makes its filesystem as large as its loop device. Holds up no other step. */
  async growFilesystem(): Promise<void> {
    if (this.#loop === undefined) return;
    await growFilesystem(this.#filesystem ?? '', this.#loop, this.directory, this.#disk);
  }

  /**
   * Freezes it, whoever else freezes and thaws it meanwhile, until `unlock`: what is dirty is
   * written out, and programs that write wait. Throws UNSUPPORTED where it cannot be frozen.
   */
  lock(): Promise<void> {
    return this.#next(async () => {
      if (!this.#mounted || this.#locked) return;
      this.#locked = true;
      // Nothing waits to be written on a read-only one.
      if (this.readOnly) return;
      this.#freezing ??= this.#freeze();
      try {
        if ((await this.#freezing) === 'frozen') return;
        throw new Fault('UNSUPPORTED', `the filesystem of ${this.#disk} cannot be frozen`);
      } catch (error) {
        // Frozen is frozen, whoever did it.
        if (isBusy(error)) return;
        this.#locked = false;
        this.#freezing = undefined;
        throw error;
      }
    });
  }

  /**
   * What is below answers again: lets it go on. False when something has broken it meanwhile, an
   * unfreeze by another program most likely: then it must be mounted afresh.
   */
  unlock(): Promise<boolean> {
    return this.#next(async () => {
      if (!this.#locked) return true;
      const isOurs = await succeeds(this.#freezing ?? Promise.resolve());
      this.#locked = false;
      try {
        await this.#thaw();
        if (!(await this.#isStillThere())) await this.#mountAgain();
        // It would wait for whoever froze it.
        if (isOurs && !this.readOnly) await this.#host.checkFilesystem(this.directory);
        return true;
      } catch {
        return false;
      }
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
    await this.#thaw();
    await this.#host.syncFilesystem(this.directory);
  }

  /** Runs `work` while the filesystem is frozen, so that what is below it is clean. */
  async whileFrozen<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#tail;
    // Locked, it is frozen.
    if (!this.#mounted || this.readOnly || this.#locked) return work();
    this.#freezing = this.#freeze();
    try {
      await this.#freezing;
      return await work();
    } finally {
      // The key may have been lost meanwhile; or is, just now, and finds it thawed.
      await this.#next(async () => {
        if (!this.#locked) await this.#thaw();
      });
    }
  }

  async #growLoop(fusePath: string): Promise<void> {
    if (this.#loop !== undefined) await this.#host.growLoop(this.#loop, fusePath);
  }

  async #freeze(): Promise<Froze> {
    try {
      await this.#host.freezeFilesystem(this.directory, this.#loop ?? '');
      return 'frozen';
    } catch (error) {
      if (!(error instanceof Fault) || error.code === 'BUSY') throw this.#frozenByOthers(error);
      // Not every filesystem can freeze; what is written out then is what a power cut would leave.
      await this.#host.syncFilesystem(this.directory);
      return 'synced';
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
    const isFrozen = await freezing.then(
      (froze) => froze === 'frozen',
      () => false,
    );
    if (!isFrozen) return;
    await this.#host.thawFilesystem(this.directory, this.#loop ?? '').catch(assertThawed);
  }

  /** Someone may have unmounted it, lazily, while it was locked. */
  async #isStillThere(): Promise<boolean> {
    const mounts = await readMounts();
    return mounts.some(
      ({ directory, source }) => directory === this.directory && source === this.#loop,
    );
  }

  async #mountAgain(): Promise<void> {
    if (this.#loop === undefined || this.#filesystem === undefined) return;
    await this.#mount(this.#loop, this.#filesystem);
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

  /** A frozen filesystem that is unmounted stays, unreachable, unless a holder has kept hold of it. */
  async #unmount(lazy: boolean, refuse?: () => Promise<void>): Promise<void> {
    const thawsAfter = this.#locked && this.#host.keepFrozen !== undefined && refuse !== undefined;
    if (!thawsAfter) await this.#thaw().catch(() => undefined);
    await this.#takeFromTree(lazy);
    this.#mounted = false;
    if (thawsAfter) {
      await refuse();
      await this.#thaw().catch(() => undefined);
    }
    this.#locked = false;
  }

  async #takeFromTree(lazy: boolean): Promise<void> {
    try {
      await this.#host.unmountFilesystem(this.directory, lazy);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      // Someone else has unmounted it: that is what we wanted.
      if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'FILE_NOT_FOUND') {
        throw this.#inUse(error);
      }
    }
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

function isBusy(error: unknown): boolean {
  return error instanceof Fault && error.code === 'BUSY';
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

/** It may have been thawed by someone else, or be gone. */
function assertThawed(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
  if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'FILE_NOT_FOUND') throw error;
}
