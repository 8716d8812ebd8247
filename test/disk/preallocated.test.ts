/**
 * A preallocated layer keeps its space: discards make zeros that stay allocated, and those zeros
 * still mean "never written", also where the filesystem can only write them out.
 */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import t, { type Test as Tap } from 'tap';
import type { DeviceLayer } from '../../dist/device/index.js';
import {
  DATA_OFFSET_BYTES,
  isZero,
  MIB,
  newLayer,
  openStack,
  pattern,
  pushLayer,
  readAt,
} from '../support/layers.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

const sizeBytes = 4 * MIB;
const usedBytes = (path: string): number => statSync(path).blocks * 512;

function preallocatedLayer(directory: string): DeviceLayer {
  const layer = { ...newLayer(directory, sizeBytes), preallocated: true };
  execFileSync('fallocate', ['-l', String(DATA_OFFSET_BYTES + sizeBytes), layer.path]);
  return layer;
}

async function checkKeepsItsSpace(t: Tap, directory: string): Promise<void> {
  const layer = preallocatedLayer(directory);
  const device = await openStack(t, [layer]);
  t.ok(isZero(await readAt(device, 0, sizeBytes)), 'reads zeros before it is written');
  await device.write(pattern(3 * MIB, 1), 4096);
  await device.discard(MIB, MIB + 100);
  await device.flush();
  t.ok(usedBytes(layer.path) >= DATA_OFFSET_BYTES + sizeBytes, 'nothing was given back');
  const expected = Buffer.concat([Buffer.alloc(4096), pattern(3 * MIB, 1), Buffer.alloc(MIB)]);
  expected.fill(0, MIB, 2 * MIB + 100);
  t.ok((await readAt(device, 0, sizeBytes)).equals(expected.subarray(0, sizeBytes)));
  await device.close();
  const again = await openStack(t, [layer]);
  t.ok(
    (await readAt(again, 0, sizeBytes)).equals(expected.subarray(0, sizeBytes)),
    'after reopening',
  );
}

t.test('a preallocated layer keeps its space through discards', async (t) => {
  await checkKeepsItsSpace(t, tempDirectory(t));
});

// tmpfs has no FALLOC_FL_ZERO_RANGE.
t.test(
  'where the filesystem cannot zero a range, zeros are written',
  { skip: isRoot ? false : 'needs root for a tmpfs' },
  async (t) => {
    await checkKeepsItsSpace(t, smallFilesystem(t, '16m'));
  },
);

t.test('a preallocated top shows the layer below through its zeros', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, sizeBytes);
  const writer = await openStack(t, [bottom]);
  await writer.write(pattern(2 * MIB, 5), 0);
  await writer.close();
  const device = await openStack(t, [preallocatedLayer(directory), bottom]);
  t.ok((await readAt(device, 0, 2 * MIB)).equals(pattern(2 * MIB, 5)));
  await device.discard(0, MIB);
  t.ok(isZero(await readAt(device, 0, MIB)));
  await pushLayer(device, directory);
  t.ok((await readAt(device, MIB, MIB)).equals(pattern(2 * MIB, 5).subarray(MIB)));
});
