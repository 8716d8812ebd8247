/** The bottom layer of a new disk, filled from elsewhere: whole, or not there at all. */
import type { Device } from '../device/index.js';
import { MadeLayers } from '../disk/layers.js';
import type { LayerRecord } from '../disk/records.js';
import type { Caller } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import { Operation } from './operation.js';
import type { LongCall } from './volumes.js';

export interface FilledLayer {
  /** What is done, for messages: "import of image debian". */
  readonly what: string;
  readonly keyId: string;
  readonly sizeBytes: number;
  readonly preallocated: boolean;
}

/**
 * Has `fill` write to a new layer, and calls `keep` with it, flushed, to commit its records. A
 * failure, a lost key or an abort, which `assertGoing` throws for, leaves no file.
 */
export async function fillNewLayer(
  context: DiskContext,
  { what, keyId, sizeBytes, preallocated }: FilledLayer,
  caller: Caller,
  call: LongCall,
  fill: (device: Device, assertGoing: () => void) => Promise<void>,
  keep: (layer: LayerRecord) => Promise<void>,
): Promise<void> {
  const made = new MadeLayers(context.layers);
  const operation = new Operation(context, keyId, what);
  try {
    const { device, record } = await context.keys.withKey(keyId, caller, async (key) => {
      const layer = await made.create(key, { parentId: null, sizeBytes, preallocated });
      const opened = await operation.open([layer.device], true);
      layer.device.dataKey.release();
      return { device: opened, record: layer.record };
    });
    await fill(device, () => operation.assertGoesOn(call));
    await device.flush();
    // That may have taken long.
    operation.assertGoesOn(call);
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
