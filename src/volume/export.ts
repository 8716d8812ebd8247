/** The content of a disk as a plain raw file. */
import type { Device } from '../device/index.js';
import { releaseLayers } from '../disk/layers.js';
import { fullName } from '../disk/lineage.js';
import type { DiskRecord } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import { assertNotAttached, assertNotLost } from './attachments.js';
import { recordAudit } from './audited.js';
import type { DiskContext } from './context.js';
import { NewFile } from './new-file.js';
import { Operation } from './operation.js';
import { sectorRuns } from './sector-runs.js';
import type { DiskExport, ExportedDisk, LongCall } from './volumes.js';

const chunkBytes = 1048576;

/**
 * Writes what `disk` reads as to a new sparse file, all or nothing. The caller holds its lock.
 * Throws CONFIRMATION_REQUIRED unless plaintext is asked for, WRONG_STATE for a volume in use.
 */
export async function exportDisk(
  context: DiskContext,
  disk: DiskRecord,
  { file: path, plaintext }: DiskExport,
  caller: Caller,
  call: LongCall,
): Promise<ExportedDisk> {
  const name = `${disk.kind} ${fullName(context.records, disk)}`;
  if (!plaintext) throw notAskedFor(name);
  assertNotLost(disk);
  if (disk.kind === 'volume') assertNotAttached(context, disk, 'export');
  context.keys.assertUsable(disk.keyId);
  const file = await NewFile.create(path);
  const operation = new Operation(context, disk.keyId, `export of ${name}`);
  try {
    const action = disk.kind === 'image' ? 'exportImage' : 'exportVolume';
    const resource = `${name} (${disk.id})`;
    await recordAudit(context, caller, action, resource, 'allowed', `plaintext to ${path}`);
    const device = await openWhole(context, disk, operation, caller);
    const dataBytes = await copyOut(device, file, call, () => operation.assertGoesOn(call));
    await file.keep(device.sizeBytes);
    return { file: path, sizeBytes: device.sizeBytes, dataBytes };
  } catch (error) {
    throw operation.explain(error);
  } finally {
    await file.dispose();
    await operation.close();
  }
}

function notAskedFor(name: string): Fault {
  return new Fault('CONFIRMATION_REQUIRED', `a raw file of ${name} would not be encrypted`, {
    hint: 'give --plaintext if that is what you want',
  });
}

async function openWhole(
  context: DiskContext,
  disk: DiskRecord,
  operation: Operation,
  caller: Caller,
): Promise<Device> {
  return context.keys.withKey(disk.keyId, caller, async (session) => {
    const stack = context.records.stack(disk.topLayerId);
    const layers = await context.layers.openStack(session, stack);
    try {
      return await operation.open(
        layers.map((layer) => layer.device),
        false,
      );
    } finally {
      releaseLayers(layers);
    }
  });
}

/** Leaves holes where there are no data, or zeros. Answers how many bytes it has written. */
async function copyOut(
  device: Device,
  file: NewFile,
  call: LongCall,
  assertGoing: () => void,
): Promise<number> {
  const totalBytes = device.sizeBytes;
  let dataBytes = 0;
  let doneBytes = 0;
  // Two buffers: the next chunk is read and deciphered while the last one is written.
  let [reading, writing] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
  let written: Promise<void> = Promise.resolve();
  const write = async (chunk: Buffer, offsetBytes: number): Promise<void> => {
    for (const [start, end] of sectorRuns(chunk, 'data')) {
      await file.write(chunk.subarray(start, end), offsetBytes + start);
      dataBytes += end - start;
    }
  };
  try {
    for await (const [offsetBytes, lengthBytes] of chunksOfData(device)) {
      assertGoing();
      const chunk = reading.subarray(0, lengthBytes);
      await device.read(chunk, offsetBytes);
      await written;
      [reading, writing] = [writing, reading];
      written = write(chunk, offsetBytes);
      // Awaited in the next round; until then its failure is not unhandled.
      written.catch(() => undefined);
      doneBytes = offsetBytes + lengthBytes;
      call.onProgress?.({ doneBytes, totalBytes });
    }
  } finally {
    await written;
  }
  assertGoing();
  if (doneBytes < totalBytes) call.onProgress?.({ doneBytes: totalBytes, totalBytes });
  return dataBytes;
}

async function* chunksOfData(device: Device): AsyncGenerator<readonly [number, number]> {
  let at = await device.seekData(0);
  while (at !== undefined) {
    const end = (await device.seekHole(at)) ?? device.sizeBytes;
    for (; at < end; at += chunkBytes) yield [at, Math.min(chunkBytes, end - at)];
    at = end < device.sizeBytes ? await device.seekData(end) : undefined;
  }
}
