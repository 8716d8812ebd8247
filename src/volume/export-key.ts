/** The raw data key of a parentless volume, for cryptsetup and other tools. */
import { lstat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import type { Device } from '../device/index.js';
import { assertFreeSpace, sectorBytes } from '../disk/sizes.js';
import type { DiskRecord, LayerRecord } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import { assertNotAttached, assertNotLost } from './attachments.js';
import { recordAudit } from './audited.js';
import type { DiskContext } from './context.js';
import { Operation } from './operation.js';
import { assertNotAborted } from './raw-import.js';
import type { LongCall } from './volumes.js';

const chunkBytes = 1048576;
const zeroSector = Buffer.alloc(sectorBytes);

/** The caller holds the volume's lock. */
export async function exportKey(
  context: DiskContext,
  volume: DiskRecord,
  file: string,
  caller: Caller,
  call: LongCall,
): Promise<{ file: string; container: string }> {
  assertNotLost(volume);
  assertNotAttached(context, volume, 'export the key of');
  const layer = onlyLayer(context, volume);
  await assertNewFile(file);
  context.keys.assertUsable(volume.keyId);
  await fillHoles(context, volume, layer, caller, call);
  const resource = `volume ${volume.name} (${volume.id})`;
  await recordAudit(context, caller, 'exportKey', resource, 'allowed', `to ${file}`);
  await context.keys.withKey(volume.keyId, caller, async (session) => {
    const opened = await context.layers.open(session, layer);
    try {
      context.addon.exportKeyFile(opened.device.dataKey, file);
    } finally {
      opened.device.dataKey.release();
    }
  });
  return { file, container: context.layers.path(layer.id) };
}

function onlyLayer(context: DiskContext, volume: DiskRecord): LayerRecord {
  const layer = context.records.layer(volume.topLayerId);
  if (layer.parentId === null) return layer;
  const depth = context.records.stack(layer.id).length;
  throw new Fault(
    'UNSUPPORTED',
    `volume ${volume.name} is a stack of ${depth} containers, each with its own key`,
    { hint: 'copy its data to a new empty volume and export the key of that one' },
  );
}

async function assertNewFile(file: string): Promise<void> {
  if (!isAbsolute(file)) throw new Fault('INVALID_ARGUMENT', `${file} is not an absolute path`);
  const exists = async (path: string): Promise<boolean> =>
    lstat(path).then(
      () => true,
      () => false,
    );
  if (await exists(file)) throw new Fault('FILE_EXISTS', `${file} exists already`);
  if (!(await exists(dirname(file)))) {
    throw new Fault('FILE_NOT_FOUND', `there is no directory ${dirname(file)}`);
  }
}

/** Other tools decrypt a hole to noise, so every sector that reads as zeros is written as zeros. */
async function fillHoles(
  context: DiskContext,
  volume: DiskRecord,
  layer: LayerRecord,
  caller: Caller,
  call: LongCall,
): Promise<void> {
  const missingBytes = layer.sizeBytes - (await context.layers.allocatedBytes(layer.id));
  if (missingBytes > 0) await assertFreeSpace(context.layers.directory, missingBytes);
  const operation = new Operation(context, volume.keyId, `key export of volume ${volume.name}`);
  try {
    const device = await context.keys.withKey(volume.keyId, caller, async (session) => {
      const opened = await context.layers.open(session, layer);
      try {
        return await operation.open(opened.device);
      } finally {
        opened.device.dataKey.release();
      }
    });
    await writeZeroSectors(device, call);
    await device.flush();
  } finally {
    await operation.close();
  }
}

async function writeZeroSectors(device: Device, call: LongCall): Promise<void> {
  const totalBytes = device.sizeBytes;
  const chunk = Buffer.alloc(chunkBytes);
  for (let doneBytes = 0; doneBytes < totalBytes;) {
    assertNotAborted(call);
    const part = chunk.subarray(0, Math.min(chunkBytes, totalBytes - doneBytes));
    await device.read(part, doneBytes);
    await rewriteZeroRuns(device, part, doneBytes);
    doneBytes += part.length;
    call.onProgress?.({ doneBytes, totalBytes });
  }
}

/** Also where zeros were written before: that costs a write, and needs no trust in the map of holes. */
async function rewriteZeroRuns(device: Device, part: Buffer, offsetBytes: number): Promise<void> {
  let runStart = 0;
  for (let at = 0; at <= part.length; at += sectorBytes) {
    const isZero = at < part.length && part.subarray(at, at + sectorBytes).equals(zeroSector);
    if (isZero) continue;
    if (at > runStart) await device.write(part.subarray(runStart, at), offsetBytes + runStart);
    runStart = at + sectorBytes;
  }
}
