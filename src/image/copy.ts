/** The way around the rule that the key of an image cannot be changed: another image. */
import { randomUUID } from 'node:crypto';
import type { DiskRecord } from '../disk/records.js';
import { insertDisk, insertLayer } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import { assertNotLost } from '../volume/attachments.js';
import type { DiskContext } from '../volume/context.js';
import { copyDisk, deviceSource } from '../volume/copy.js';
import { fillNewLayer } from '../volume/new-layer.js';
import { keyAndRoom } from '../volume/new-volumes.js';
import { Operation } from '../volume/operation.js';
import type { LongCall } from '../volume/volumes.js';
import { imageRecord } from './image-record.js';
import type { ImageCopy } from './images.js';

/**
 * Encrypts what `image` reads as under another master key, in one layer that needs no other; answers
 * the id of the new image. The caller holds the locks of the image and of the new name. Throws
 * SAME_KEY. The loss of either key ends it, and then nothing of it is left.
 */
export async function copyImage(
  context: DiskContext,
  image: DiskRecord,
  { name, key: asked }: ImageCopy,
  caller: Caller,
  call: LongCall,
): Promise<string> {
  context.records.assertNameFree('image', name);
  assertNotLost(image);
  assertOtherKey(context, image, asked);
  context.keys.assertUsable(image.keyId);
  const id = randomUUID();
  const room = { sizeBytes: image.sizeBytes, preallocated: false };
  const key = await keyAndRoom(context, asked, 'ims', room, caller);
  const what = `copy of image ${image.name} to ${name}`;
  const source = new Operation(context, image.keyId, what);
  try {
    const disk = await source.openDisk(image, caller);
    await fillNewLayer(
      context,
      { what, keyId: key.id, ...room },
      caller,
      call,
      async (target, assertTargetGoing) => {
        const assertGoing = (): void => {
          source.assertGoesOn(call);
          assertTargetGoing();
        };
        const write = (data: Buffer, at: number): Promise<void> => target.write(data, at);
        await copyDisk(deviceSource(disk), write, { wanted: 'data', call, assertGoing });
      },
      async (layer) => {
        source.assertGoesOn(call);
        const record = imageRecord(context, { id, name, source: `image:${image.name}` }, layer);
        await context.records.commit([insertLayer(layer), insertDisk(record)]);
      },
    );
    return id;
  } catch (error) {
    throw source.explain(error);
  } finally {
    await source.close();
  }
}

function assertOtherKey({ keys }: DiskContext, image: DiskRecord, asked: string): void {
  const { id, alias } = keys.findKey(asked);
  if (id !== image.keyId) return;
  throw new Fault('SAME_KEY', `image ${image.name} is encrypted under key ${alias} already`, {
    hint: 'name another key; a volume from the image shares its data, and needs no copy',
  });
}
