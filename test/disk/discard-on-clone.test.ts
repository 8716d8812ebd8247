/**
 * fstrim on a clone must not fill the host's disk: the clone grows at most by what its image
 * holds, and what was trimmed reads as zeros, not as the image's data.
 */
import t from 'tap';
import {
  isZero,
  KIB,
  MIB,
  newLayer,
  openStack,
  pattern,
  pushLayer,
  readAt,
  SECTOR_BYTES,
} from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 16 * MIB;

t.test('discarding a whole clone grows it by no more than its image holds', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, sizeBytes);
  const device = await openStack(t, [bottom]);
  await device.write(pattern(300 * KIB, 1), 2 * MIB);
  await device.write(pattern(SECTOR_BYTES, 2), 9 * MIB);
  const held = 300 * KIB + SECTOR_BYTES;
  await pushLayer(device, directory);
  await device.discard(0, sizeBytes);
  await device.flush();
  t.ok(device.stats().allocatedBytes <= held, `${device.stats().allocatedBytes} <= ${held}`);
  t.ok(isZero(await readAt(device, 0, sizeBytes)));
});

t.test('discarding gives back what the clone itself wrote', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, sizeBytes)]);
  await device.write(pattern(64 * KIB, 1), 0);
  await pushLayer(device, directory);
  await device.write(pattern(8 * MIB, 2), MIB);
  await device.flush();
  t.ok(device.stats().allocatedBytes >= 8 * MIB);
  await device.discard(MIB, 8 * MIB);
  await device.flush();
  t.equal(device.stats().allocatedBytes, 0);
  t.ok(isZero(await readAt(device, MIB, 8 * MIB)));
  t.ok((await readAt(device, 0, 64 * KIB)).equals(pattern(64 * KIB, 1)), 'the image is untouched');
});

t.test('a discard that ends inside sectors zeroes exactly its bytes', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, sizeBytes)]);
  const expected = pattern(64 * KIB, 1);
  await device.write(expected, 0);
  await pushLayer(device, directory);
  await device.discard(1000, 30_000);
  expected.fill(0, 1000, 31_000);
  t.ok((await readAt(device, 0, 64 * KIB)).equals(expected));
  await device.discard(8 * MIB + 1, 3);
  t.ok(
    device.stats().allocatedBytes <= 32 * KIB,
    'a partial sector that nobody holds stays unwritten',
  );
});

t.test('discarding an unwritten tebibyte takes no walk over its sectors', async (t) => {
  const directory = tempDirectory(t);
  const tebibyte = 2 ** 40;
  const device = await openStack(t, [newLayer(directory, tebibyte), newLayer(directory, tebibyte)]);
  await device.write(pattern(SECTOR_BYTES, 1), tebibyte / 2);
  const started = performance.now();
  await device.discard(0, tebibyte);
  // 268 million sectors cannot be looked at in this time, not even one nanosecond each.
  t.ok(performance.now() - started < 10_000);
  t.equal(device.stats().allocatedBytes, 0);
  t.equal(await device.seekData(0), undefined);
});
