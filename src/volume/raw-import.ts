/** A raw file or block device becomes the bottom layer of a new disk. */
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import type { Addon, Device } from '../device/index.js';
import type { LayerRecord } from '../disk/records.js';
import { roundUpToSector, sectorBytes } from '../disk/sizes.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import { copyDisk, type CopySource, type WriteData } from './copy.js';
import { assertRaw } from './foreign-format.js';
import { fillNewLayer } from './new-layer.js';
import type { LongCall } from './volumes.js';

export interface RawSource {
  readonly file: FileHandle;
  readonly path: string;
  readonly fileBytes: number;
  /** Rounded up to whole sectors. */
  readonly diskBytes: number;
  readonly remarks: readonly string[];
}

/** Opens a raw source. The caller closes `file`. Throws FILE_NOT_FOUND, INVALID_ARGUMENT, INVALID_SIZE. */
export async function openRawSource(
  context: Pick<DiskContext, 'fuse'>,
  path: string,
): Promise<RawSource> {
  const file = await openFile(path);
  try {
    await assertNotOurs(context, file, path);
    const fileBytes = await sizeOf(file, path);
    if (fileBytes === 0) throw new Fault('INVALID_SIZE', `${path} is empty`);
    await assertRaw(file, path, fileBytes);
    const diskBytes = roundUpToSector(fileBytes);
    const padding = diskBytes - fileBytes;
    const remarks =
      padding === 0 ? [] : [`padded by ${padding} bytes to a multiple of ${sectorBytes}`];
    return { file, path, fileBytes, diskBytes, remarks };
  } catch (error) {
    await file.close();
    throw error;
  }
}

export interface ImportSettings {
  /** "image debian", for messages. */
  readonly disk: string;
  readonly keyId: string;
  readonly sizeBytes: number;
  readonly preallocated: boolean;
}

/**
 * Copies `source` into a new layer, leaving zero sectors unwritten, and calls `keep` with the
 * flushed layer to commit its records. All or nothing: a failure, a lost key or an abort leaves no file.
 */
export async function importRaw(
  context: DiskContext,
  source: RawSource,
  { disk, ...layer }: ImportSettings,
  caller: Caller,
  call: LongCall,
  keep: (layer: LayerRecord) => Promise<void>,
): Promise<void> {
  const settings = { what: `import of ${disk}`, ...layer };
  const fill = async (device: Device, assertGoing: () => void): Promise<void> => {
    const write: WriteData = (data, offsetBytes) => device.write(data, offsetBytes);
    await copyDisk(copySource(context, source), write, { wanted: 'data', call, assertGoing });
    // What is cut off looks like a hole.
    if ((await sizeOf(source.file, source.path)) < source.fileBytes) throw becameShorter(source);
  };
  await fillNewLayer(context, settings, caller, call, fill, keep);
}

function copySource({ addon }: Pick<DiskContext, 'addon'>, source: RawSource): CopySource {
  return {
    sizeBytes: source.fileBytes,
    runs: () => runsOf(addon, source),
    read: (sectors, offsetBytes) => readSectors(source, sectors, offsetBytes),
  };
}

/** What is not a hole, in whole sectors. */
async function* runsOf(
  addon: Pick<Addon, 'nextData'>,
  { file, fileBytes, diskBytes }: RawSource,
): AsyncGenerator<readonly [startBytes: number, endBytes: number]> {
  for (let at = 0; at < fileBytes;) {
    const data = await addon.nextData(file.fd, at);
    if (data === undefined) return;
    const start = Math.max(at, data.startBytes - (data.startBytes % sectorBytes));
    const end = Math.min(diskBytes, roundUpToSector(data.endBytes));
    if (start < end) yield [start, end];
    at = end;
  }
}

/** With zeros from the end of the file to that of the last sector. */
async function readSectors(source: RawSource, sectors: Buffer, offsetBytes: number): Promise<void> {
  const wantedBytes = Math.min(sectors.length, source.fileBytes - offsetBytes);
  for (let doneBytes = 0; doneBytes < wantedBytes;) {
    const left = wantedBytes - doneBytes;
    const { bytesRead } = await source.file.read(sectors, doneBytes, left, offsetBytes + doneBytes);
    if (bytesRead === 0) throw becameShorter(source);
    doneBytes += bytesRead;
  }
  sectors.fill(0, wantedBytes);
}

function becameShorter({ path }: RawSource): Fault {
  return new Fault('IO_ERROR', `${path} became shorter while it was read`);
}

/** A pipe must not be waited for: nobody may ever open its other end. */
async function openFile(path: string): Promise<FileHandle> {
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
async function assertNotOurs(
  { fuse }: Pick<DiskContext, 'fuse'>,
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
async function sizeOf(file: FileHandle, path: string): Promise<number> {
  const found = await file.stat();
  if (found.isFile()) return found.size;
  if (found.isBlockDevice()) {
    const major = (found.rdev >> 8) & 0xfff;
    const minor = (found.rdev & 0xff) | ((found.rdev >> 12) & 0xfff00);
    return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
  }
  throw new Fault('INVALID_ARGUMENT', `${path} is not a regular file or block device`);
}
