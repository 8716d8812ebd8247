/** The raw data key of a parentless volume, for cryptsetup and other tools. */
import type { Device } from '../device/index.js';
import { assertFreeSpace } from '../disk/sizes.js';
import type { DiskRecord, LayerRecord } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import { assertNotAttached, assertNotLost } from './attachments.js';
import { recordAudit } from './audited.js';
import type { DiskContext } from './context.js';
import { assertNewFile } from './new-file.js';
import { Operation } from './operation.js';
import { sectorRuns } from './sector-runs.js';
import type { LongCall } from './volumes.js';

const chunkBytes = 1048576;

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
        return await operation.open([opened.device], true);
      } finally {
        opened.device.dataKey.release();
      }
    });
    await writeZeroSectors(device, operation, call);
    await device.flush();
  } finally {
    await operation.close();
  }
}

async function writeZeroSectors(
  device: Device,
  operation: Operation,
  call: LongCall,
): Promise<void> {
  const totalBytes = device.sizeBytes;
  const chunk = Buffer.alloc(chunkBytes);
  for (let doneBytes = 0; doneBytes < totalBytes;) {
    operation.assertGoesOn(call);
    const part = chunk.subarray(0, Math.min(chunkBytes, totalBytes - doneBytes));
    await device.read(part, doneBytes);
    await rewriteZeroRuns(device, part, doneBytes);
    doneBytes += part.length;
    call.onProgress?.({ doneBytes, totalBytes });
  }
}

/** Also where zeros were written before: that costs a write, and needs no trust in the map of holes. */
async function rewriteZeroRuns(device: Device, part: Buffer, offsetBytes: number): Promise<void> {
  for (const [start, end] of sectorRuns(part, 'zeros')) {
    await device.write(part.subarray(start, end), offsetBytes + start);
  }
}
