/**
 * The portable FUSE driver: the FuseSession of addon.ts over `fuse-native` (libfuse 2), one
 * JavaScript call a request. An optional dependency, loaded at first use.
 *
 * What libfuse 2 through fuse-native cannot do, and what happens instead:
 * - no fallocate: discards and write-zeroes of programs answer EOPNOTSUPP, space never comes back;
 * - no SEEK_HOLE of ours: the kernel calls the whole file data;
 * - no shared mappings (ENODEV), as files are opened for direct I/O, so there are no mapped pages;
 * - requests do not tell who opened a file: `own` counts the loop devices on it, revoking 'own'
 *   handles revokes all of them, and an exclusive file takes one writer, whoever comes first.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { Fault } from '../fault.js';
import type { FuseFile, FuseOptions, FuseSession } from './transport.js';
import { type FuseOperations, portableOperations } from './fuse-portable-operations.js';
import { PortableTree } from './fuse-portable-tree.js';

type Done = (error?: Error | null) => void;

/** How long fuse-native may take to say that it has unmounted. */
const graceMs = 2000;

interface FuseNative {
  mount(done: Done): void;
  unmount(done: Done): void;
}

interface FuseNativeOptions {
  readonly fsname: string;
  readonly subtype: string;
  readonly defaultPermissions: boolean;
  readonly allowOther: boolean;
  readonly timeout: false;
}

type FuseNativeClass = new (
  mountPoint: string,
  operations: FuseOperations,
  options: FuseNativeOptions,
) => FuseNative;

/**
 * As `addon.mountFuse`; `threads` is libfuse's own business. Throws UNSUPPORTED when fuse-native
 * is not installed, IO_ERROR when it cannot mount.
 */
export async function mountPortableFuse(options: FuseOptions): Promise<FuseSession> {
  const tree = new PortableTree();
  const Fuse = loadFuseNative();
  const fuse = new Fuse(options.mountPoint, portableOperations(tree), {
    fsname: 'keyvol',
    // fuse-native has no names for the options after the comma, and joins what it is given.
    // A disk that has grown shows it at once: nothing of a file's size is remembered.
    subtype: 'keyvol,direct_io,big_writes,max_read=131072,attr_timeout=0,nosuid,nodev',
    defaultPermissions: true,
    allowOther: options.allowOther,
    timeout: false, // a disk that is held answers late, and must not answer wrongly
  });
  try {
    await settled((done) => fuse.mount(done));
  } catch (cause) {
    throw new Fault('IO_ERROR', `fuse-native cannot mount on ${options.mountPoint}`, { cause });
  }
  const { dev } = await stat(options.mountPoint);
  return new PortableSession(options.mountPoint, tree, fuse, minorOf(dev));
}

function loadFuseNative(): FuseNativeClass {
  try {
    // The package has no types; the interfaces above are what its README documents.
    return createRequire(import.meta.url)('fuse-native') as FuseNativeClass;
  } catch (cause) {
    throw new Fault('UNSUPPORTED', 'the portable FUSE driver needs fuse-native', {
      cause,
      hint: 'install libfuse 2 and the npm package fuse-native, or use the native driver',
    });
  }
}

class PortableSession implements FuseSession {
  readonly kept = false;
  readonly isHeld = false;

  constructor(
    readonly mountPoint: string,
    private readonly tree: PortableTree,
    private readonly fuse: FuseNative,
    private readonly connection: number,
  ) {}

  /** Nothing outlives a mount of libfuse. */
  keep(): readonly number[] {
    return [];
  }

  serve(): void {
    // It does so from its mount on.
  }

  async settle(): Promise<void> {
    // Nobody does anything for it but this process.
  }

  frozen(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  entrust(): Promise<void> {
    return Promise.reject(noHolder());
  }

  park(): Promise<void> {
    return Promise.reject(noHolder());
  }

  add(file: FuseFile): void {
    this.tree.add(file);
  }

  rename(id: string, name: string): void {
    this.tree.rename(id, name);
  }

  remove(id: string): void {
    this.tree.remove(id);
  }

  openHandles(id: string): { readonly own: number; readonly others: number } {
    const total = this.tree.openHandles(id);
    const file = this.tree.fileById(id);
    if (file === undefined || total === 0) return { own: 0, others: total };
    const own = Math.min(total, this.#loopDevicesOn(file));
    return { own, others: total - own };
  }

  setExclusive(id: string, exclusive: boolean): void {
    const file = this.tree.fileById(id);
    if (exclusive && file !== undefined && this.tree.writers(id) > this.#loopDevicesOn(file)) {
      throw new Fault('BUSY', `another program has ${file.name} open for writing`);
    }
    this.tree.setExclusive(id, exclusive);
  }

  revokeHandles(id: string, _which: 'own' | 'all'): void {
    this.tree.revoke(id);
  }

  dropInheritedPages(): Promise<void> {
    return Promise.resolve();
  }

  async dropMappedPages(_id: string): Promise<void> {
    // Direct I/O in libfuse 2 allows no shared mapping, so no program has mapped a page.
  }

  #loopDevicesOn({ directory, name }: FuseFile): number {
    return loopDevicesOn(`${this.mountPoint}/${directory}/${name}`);
  }

  /**
   * Resolves a while after the mount has left the tree: fuse-native waits for a shell that it
   * starts, and has been seen not to notice that it ended.
   */
  async #gone(): Promise<void> {
    while (readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${this.mountPoint} `)) {
      await setTimeout(graceMs, undefined, { ref: false });
    }
    await setTimeout(graceMs, undefined, { ref: false });
  }

  async unmount(): Promise<void> {
    // fuse-native unmounts lazily, so whoever still has a file open must be cut off by us: by
    // aborting the connection where fusectl is mounted, by EIO everywhere.
    for (const { id } of this.tree.all()) this.tree.remove(id);
    const abort = `/sys/fs/fuse/connections/${this.connection}/abort`;
    await writeFile(abort, '1').catch(() => undefined);
    await this.tree.idle();
    try {
      await Promise.race([settled((done) => this.fuse.unmount(done)), this.#gone()]);
    } catch (cause) {
      throw new Fault('BUSY', `fuse-native cannot unmount ${this.mountPoint}`, { cause });
    }
  }
}

function noHolder(): Fault {
  return new Fault('UNSUPPORTED', 'a mount of the portable FUSE driver ends with its daemon');
}

/** Loop devices are opened by the daemon itself and live in the kernel, without a process. */
function loopDevicesOn(path: string): number {
  const loops = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  return loops.filter((name) => backingFileOf(name) === path).length;
}

function backingFileOf(loop: string): string | undefined {
  try {
    return readFileSync(`/sys/block/${loop}/loop/backing_file`, 'utf8').trimEnd();
  } catch (error) {
    // A loop device without a file has no such entry.
    if (isErrno(error, constants.errno.ENOENT)) return undefined;
    throw error;
  }
}

function isErrno(error: unknown, errno: number): boolean {
  return error instanceof Error && 'errno' in error && error.errno === -errno;
}

/** The minor number in a Linux `st_dev`, which names the FUSE connection. */
function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

function settled(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error instanceof Error ? reject(error) : resolve()));
  });
}
