/** A raw file or block device becomes the bottom layer of a new disk. */
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import type { Addon, Device } from '../device/index.js';
import { MadeLayers } from '../disk/layers.js';
import type { LayerRecord } from '../disk/records.js';
import { roundUpToSector, sectorBytes } from '../disk/sizes.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import { assertRaw } from './foreign-format.js';
import { Operation } from './operation.js';
import { sectorRuns } from './sector-runs.js';
import type { LongCall } from './volumes.js';

const chunkBytes = 1048576;

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
  settings: ImportSettings,
  caller: Caller,
  call: LongCall,
  keep: (layer: LayerRecord) => Promise<void>,
): Promise<void> {
  const made = new MadeLayers(context.layers);
  const operation = new Operation(context, settings.keyId, `import of ${settings.disk}`);
  try {
    const { device, record } = await context.keys.withKey(settings.keyId, caller, async (key) => {
      const { sizeBytes, preallocated } = settings;
      const layer = await made.create(key, { parentId: null, sizeBytes, preallocated });
      const opened = await operation.open([layer.device], true);
      layer.device.dataKey.release();
      return { device: opened, record: layer.record };
    });
    await copy(context, source, device, () => operation.assertGoesOn(call), call);
    await operation.close();
    await keep(record);
    made.keep();
  } catch (error) {
    throw operation.explain(error);
  } finally {
    await operation.close().catch(() => undefined);
    await made.dispose();
  }
}

async function copy(
  { addon }: Pick<DiskContext, 'addon'>,
  source: RawSource,
  device: Device,
  assertGoing: () => void,
  call: LongCall,
): Promise<void> {
  const totalBytes = source.fileBytes;
  let doneBytes = 0;
  // Two buffers: the next chunk is read while the last one is encrypted and written.
  let [filling, writing] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
  let written: Promise<void> = Promise.resolve();
  try {
    for await (const [offsetBytes, wantedBytes] of chunksOfData(addon, source)) {
      assertGoing();
      await readFully(source, filling, offsetBytes, wantedBytes);
      await written;
      [filling, writing] = [writing, filling];
      written = writeSectors(
        device,
        writing.subarray(0, roundUpToSector(wantedBytes)),
        offsetBytes,
      );
      // Awaited in the next round; until then its failure is not unhandled.
      written.catch(() => undefined);
      doneBytes = offsetBytes + wantedBytes;
      call.onProgress?.({ doneBytes, totalBytes });
    }
  } finally {
    await written;
  }
  // What is cut off looks like a hole.
  if ((await sizeOf(source.file, source.path)) < totalBytes) throw becameShorter(source);
  assertGoing();
  if (doneBytes < totalBytes) call.onProgress?.({ doneBytes: totalBytes, totalBytes });
  await device.flush();
}

/** Offsets and lengths of what is not a hole, from the start of a sector. */
async function* chunksOfData(
  addon: Pick<Addon, 'nextData'>,
  { file, fileBytes }: RawSource,
): AsyncGenerator<readonly [offsetBytes: number, lengthBytes: number]> {
  for (let at = 0; at < fileBytes;) {
    const data = await addon.nextData(file.fd, at);
    if (data === undefined) return;
    at = Math.max(at, data.startBytes - (data.startBytes % sectorBytes));
    const end = Math.min(fileBytes, roundUpToSector(data.endBytes));
    for (; at < end; at += chunkBytes) yield [at, Math.min(chunkBytes, end - at)];
    at = end;
  }
}

/** Leaves sectors of zeros unwritten: they read as zeros. */
async function writeSectors(device: Device, chunk: Buffer, offsetBytes: number): Promise<void> {
  for (const [start, end] of sectorRuns(chunk, 'data')) {
    await device.write(chunk.subarray(start, end), offsetBytes + start);
  }
}

/** Fills `lengthBytes` of `buffer` and zeros up to the next sector. */
async function readFully(
  source: RawSource,
  buffer: Buffer,
  offsetBytes: number,
  lengthBytes: number,
): Promise<void> {
  let doneBytes = 0;
  while (doneBytes < lengthBytes) {
    const position = offsetBytes + doneBytes;
    const { bytesRead } = await source.file.read(
      buffer,
      doneBytes,
      lengthBytes - doneBytes,
      position,
    );
    if (bytesRead === 0) throw becameShorter(source);
    doneBytes += bytesRead;
  }
  buffer.fill(0, lengthBytes, roundUpToSector(lengthBytes));
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
