/**
 * Writers of parts of one sector each read, merge and write all of it: without a lock they would
 * undo each other, and a reader would decrypt half of one ciphertext and half of another.
 */
import t from 'tap';
import type { Device } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pushLayer, readAt, SECTOR_BYTES } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const sliceBytes = 512;
const rounds = 150;

async function writeSlice(device: Device, index: number): Promise<number> {
  let wrong = 0;
  for (let round = 1; round <= rounds; round += 1) {
    await device.write(Buffer.alloc(sliceBytes, round), index * sliceBytes);
    const seen = await readAt(device, index * sliceBytes, sliceBytes);
    if (!seen.equals(Buffer.alloc(sliceBytes, round))) wrong += 1;
  }
  return wrong;
}

t.test('writers of parts of one sector do not undo each other', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)]);
  await device.write(Buffer.alloc(SECTOR_BYTES, 0xff), 0);
  await pushLayer(device, directory);
  const slices = Array.from({ length: SECTOR_BYTES / sliceBytes }, (_, index) => index);
  const wrong = await Promise.all(slices.map((index) => writeSlice(device, index)));
  t.same(
    wrong,
    slices.map(() => 0),
  );
});

t.test('a reader sees a sector as one of its writers left it', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  await device.write(Buffer.alloc(SECTOR_BYTES, 1), 0);
  let torn = 0;
  const write = async (value: number): Promise<void> => {
    for (let i = 0; i < rounds; i += 1) {
      if (i % 5 === value % 5) await device.discard(0, SECTOR_BYTES);
      await device.write(Buffer.alloc(SECTOR_BYTES, value), 0);
    }
  };
  const read = async (): Promise<void> => {
    for (let i = 0; i < 2 * rounds; i += 1) {
      const seen = await readAt(device, 0, SECTOR_BYTES);
      if (!seen.equals(Buffer.alloc(SECTOR_BYTES, seen[0]))) torn += 1;
    }
  };
  await Promise.all([write(1), write(2), write(3), read(), read()]);
  t.equal(torn, 0);
});
