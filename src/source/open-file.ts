/** Opens the file that a disk is made from. */
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { Fault } from '../fault.js';

/** A pipe must not be waited for: nobody may ever open its other end. */
export async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new Fault('FILE_NOT_FOUND', `there is no file ${path}`, { cause: error });
    }
    throw new Fault('PERMISSION_DENIED', `cannot open ${path} (${String(code)})`, { cause: error });
  }
}

/**
 * Reading a disk of ours through its own FUSE file would need the gate of the one while the other is
 * made, and would give the copy another key than its source has.
 */
export async function assertNotOurs(
  fuse: { readonly mountPoint: string } | undefined,
  file: FileHandle,
  path: string,
): Promise<void> {
  if (fuse === undefined) return;
  const [found, ours] = await Promise.all([file.stat(), stat(fuse.mountPoint)]);
  if (found.dev !== ours.dev) return;
  throw new Fault('INVALID_ARGUMENT', `${path} is a disk of keyvol itself`, {
    hint: 'clone the volume, or make an image of it: keyvol image create NAME --volume VOLUME',
  });
}

/** stat(2) says 0 for a block device; sysfs knows its size in units of 512 bytes. */
export async function sizeOf(file: FileHandle, path: string): Promise<number> {
  const found = await file.stat();
  if (found.isFile()) return found.size;
  if (found.isBlockDevice()) {
    const major = (found.rdev >> 8) & 0xfff;
    const minor = (found.rdev & 0xff) | ((found.rdev >> 12) & 0xfff00);
    return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
  }
  throw new Fault('INVALID_ARGUMENT', `${path} is not a regular file or block device`);
}

export function becameShorter(path: string): Fault {
  return new Fault('IO_ERROR', `${path} became shorter while it was read`);
}
