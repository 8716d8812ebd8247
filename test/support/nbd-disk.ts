/** A disk that nbdkit serves, as a file and as a filesystem: whatever a plug-in or filter does to it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import type { Teardown } from './temp.js';
import { eventually } from './wait.js';

/**
 * What the disk writes whole: XFS takes its blocks of metadata to be written so, ext4 its superblock,
 * and neither comes back by itself when one was torn.
 */
export const diskSectorBytes = 4096;

export interface DiskFilesystem {
  readonly name: 'ext4' | 'xfs';
  readonly sizeBytes: number;
  readonly mkfs: readonly [string, ...string[]];
}

/** XFS refuses to be smaller. Nothing is left to be done later, while nobody asks for it. */
export const diskFilesystems: readonly DiskFilesystem[] = [
  {
    name: 'ext4',
    sizeBytes: 96 << 20,
    mkfs: ['mkfs.ext4', '-q', '-F', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  },
  { name: 'xfs', sizeBytes: 300 << 20, mkfs: ['mkfs.xfs', '-q', '-s', 'size=4096'] },
];

export interface ServedDisk {
  /** A file that is the disk. */
  readonly path: string;
  readonly end: () => Promise<void>;
}

/** `nbdkit …` in the foreground, and its disk shown below `directory`, until the end of `t` at most. */
export async function serveDisk(
  t: Teardown,
  directory: string,
  ...nbdkit: string[]
): Promise<ServedDisk> {
  const socket = join(directory, 'nbd');
  // Both say of every fault that it was injected.
  const stdio = ['ignore', 'ignore', 'ignore'] as const;
  const server = spawn('nbdkit', ['--foreground', '--unix', socket, ...nbdkit], {
    stdio: [...stdio],
  });
  await eventually(() => existsSync(socket));
  const at = join(directory, 'fuse');
  mkdirSync(at);
  const path = join(at, 'disk');
  const fuse = spawn('nbdfuse', [path, `nbd+unix:///?socket=${socket}`], { stdio: [...stdio] });
  await eventually(() => existsSync(path));
  t.teardown(() => {
    if (fuse.exitCode !== null) return;
    spawnSync('fusermount3', ['-uz', at]);
    server.kill();
  });
  const end = async (): Promise<void> => {
    execFileSync('fusermount3', ['-u', at]);
    if (fuse.exitCode === null) await once(fuse, 'exit');
    if (fuse.exitCode !== 0) throw new Error(`nbdfuse failed with ${String(fuse.exitCode)}`);
    server.kill();
    await once(server, 'exit');
  };
  return { path, end };
}

export interface MountedDisk {
  readonly root: string;
  readonly leave: () => Promise<void>;
}

/** Mounts the filesystem in the file `path` on `at`, which it makes. */
export async function mountDisk(
  path: string,
  at: string,
  filesystem: string,
): Promise<MountedDisk> {
  mkdirSync(at, { recursive: true });
  const loop = await addon.attachLoop({ path, readOnly: false, sectorBytes: diskSectorBytes });
  // As a host mounts ext4; and copies of an XFS have its UUID.
  const options = filesystem === 'xfs' ? 'nouuid' : 'errors=remount-ro';
  try {
    await addon.mountFilesystem({
      source: loop,
      directory: at,
      filesystem,
      readOnly: false,
      options,
    });
  } catch (error) {
    await addon.detachLoop(loop);
    throw error;
  }
  const leave = async (): Promise<void> => {
    await addon.unmountFilesystem(at, false);
    await addon.detachLoop(loop);
  };
  return { root: at, leave };
}
