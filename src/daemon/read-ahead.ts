/** How far the kernel reads ahead of a program that reads a disk's file through the page cache. */
import { writeFile } from 'node:fs/promises';
import { readMounts } from '../volume/mount-table.js';

/** Its own 128 KiB are a request of which most time goes into going back and forth. */
const readAheadKib = 4096;

/** For all files of the mount. Where only root may, and we are not, it stays as it is. */
export async function raiseReadAhead(mountPoint: string): Promise<void> {
  const mount = (await readMounts()).findLast(({ directory }) => directory === mountPoint);
  if (mount === undefined) return;
  const file = `/sys/class/bdi/${mount.device}/read_ahead_kb`;
  await writeFile(file, String(readAheadKib)).catch(() => undefined);
}
