/** What the header of a foreign image says, and whether it is one that we read. */
import type { FileHandle } from 'node:fs/promises';
import type { ForeignFormat } from './format.js';
import { ImageHeader, type Inspected } from './image-header.js';
import { inspectQcow } from './qcow2-header.js';
import { inspectVdi } from './vdi-header.js';
import { inspectVhd } from './vhd-header.js';
import { inspectVhdx } from './vhdx-header.js';
import { inspectVmdk } from './vmdk-header.js';

const inspectors: Record<ForeignFormat, (header: ImageHeader) => Promise<Inspected>> = {
  qcow2: inspectQcow,
  vmdk: inspectVmdk,
  vhd: inspectVhd,
  vhdx: inspectVhdx,
  vdi: inspectVdi,
};

/**
 * Throws INVALID_ARGUMENT unless the image is whole in itself, and INVALID_SIZE for an absurd size.
 * Nothing but `file` is read.
 */
export function inspect(
  format: ForeignFormat,
  file: FileHandle,
  path: string,
  fileBytes: number,
): Promise<Inspected> {
  return inspectors[format](new ImageHeader(file, format, path, fileBytes));
}
