/** Sizes of disks: what is allowed, and what fits on the host. */
import { statfs } from 'node:fs/promises';
import { Fault } from '../fault.js';
import { orFileFault } from '../file-fault.js';

export const sectorBytes = 4096;
/** Header, keyslot area and rounding of one container: DESIGN §3 puts data at 1 MiB. */
export const containerOverheadBytes = 1048576;

/** What is left to records when a container is made: they can be written without their reserve. */
export const recordsSpaceBytes = 3 * 1048576;

/** Throws INVALID_SIZE unless `sizeBytes` is a positive multiple of 4096 that counts exactly. */
export function assertDiskSize(sizeBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
    throw new Fault('INVALID_SIZE', `size ${sizeBytes} is not a positive number of bytes`, {
      hint: 'give a size such as 10G',
    });
  }
  if (sizeBytes % sectorBytes !== 0) {
    const nextBytes = roundUpToSector(sizeBytes);
    throw new Fault('INVALID_SIZE', `size ${sizeBytes} is not a multiple of ${sectorBytes}`, {
      hint: `the next larger one is ${nextBytes}`,
    });
  }
}

export function roundUpToSector(sizeBytes: number): number {
  return Math.ceil(sizeBytes / sectorBytes) * sectorBytes;
}

/** Throws NO_SPACE when the filesystem of `directory` has not `neededBytes` free. */
export async function assertFreeSpace(
  directory: string,
  neededBytes: number,
  hint = 'free some space there, choose a smaller size, or leave out --preallocate',
): Promise<void> {
  const host = await orFileFault(`see how much is free in ${directory}`, () => statfs(directory));
  const freeBytes = host.bavail * host.bsize;
  if (freeBytes < neededBytes) {
    throw new Fault(
      'NO_SPACE',
      `${neededBytes} bytes are needed in ${directory}, only ${freeBytes} are free`,
      { hint },
    );
  }
}
