/** Whether a directory lies on a disk of keyvol itself: such a state could never be opened again. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../fault.js';
import {
  isInside,
  readLoops,
  readMounts,
  type LoopEntry,
  type MountEntry,
} from '../volume/mount-table.js';

const ownFilesystem = 'fuse.keyvol';

/** Throws STATE_DIR_UNUSABLE when `directory`, which need not exist yet, is on a keyvol disk. */
export async function refuseOwnVolume(directory: string): Promise<void> {
  const mounts = await readMounts();
  const holder = holderOf(await nearestExisting(directory), mounts);
  if (holder === undefined || !isOwn(holder, mounts, await readLoops())) return;
  throw new Fault(
    'STATE_DIR_UNUSABLE',
    `state directory ${directory} is on a disk of keyvol, mounted at ${holder.directory}`,
    { hint: 'keep it on another filesystem: keyvol must read it before it can open its disks' },
  );
}

/** The mount that holds `directory`: the deepest one, and of those at one place the last. */
export function holderOf(directory: string, mounts: readonly MountEntry[]): MountEntry | undefined {
  let holder: MountEntry | undefined;
  for (const mount of mounts) {
    const isDeeper = mount.directory.length >= (holder?.directory.length ?? 0);
    if (isDeeper && isInside(directory, mount.directory)) holder = mount;
  }
  return holder;
}

/** Our FUSE mount itself, or a filesystem on a loop device over one of its files. */
export function isOwn(
  mount: MountEntry,
  mounts: readonly MountEntry[],
  loops: readonly LoopEntry[],
): boolean {
  if (mount.filesystem === ownFilesystem) return true;
  const loop = loops.find(({ device }) => device === mount.source);
  if (loop === undefined) return false;
  return holderOf(loop.backingFile, mounts)?.filesystem === ownFilesystem;
}

async function nearestExisting(directory: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch {
    const parent = path.dirname(directory);
    return parent === directory ? directory : nearestExisting(parent);
  }
}
