/**
 * A disk that was shrunk and grown again shows zeros where it was cut, never what its image or an
 * older layer still holds there: those bytes were given up.
 */
import t from 'tap';
import type { DeviceLayer } from '../../dist/device/index.js';
import {
  isZero,
  MIB,
  newLayer,
  openStack,
  pattern,
  pushLayer,
  readAt,
  SECTOR_BYTES,
} from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

t.test('a shrunk and grown disk reads zeros above its smallest size', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, 2 * MIB);
  const device = await openStack(t, [bottom]);
  const data = pattern(2 * MIB, 1);
  await device.write(data, 0);
  const cut = MIB + SECTOR_BYTES;
  const middle = await pushLayer(device, directory, cut);
  t.equal(device.sizeBytes, cut);
  await t.rejects(device.read(Buffer.alloc(1), cut), { code: 'OUT_OF_RANGE' });
  const top = await pushLayer(device, directory, 3 * MIB);
  t.equal(device.sizeBytes, 3 * MIB);

  const check = async (what: string, layers: readonly DeviceLayer[]) => {
    const reopened = await openStack(t, layers, false);
    t.ok((await readAt(reopened, 0, cut)).equals(data.subarray(0, cut)), `${what}: below the cut`);
    t.ok(isZero(await readAt(reopened, cut, 3 * MIB - cut)), `${what}: above the cut`);
    t.equal(await reopened.seekHole(0), cut, `${what}: the hole starts at the cut`);
    t.equal(await reopened.seekData(cut), undefined, `${what}: no data above the cut`);
  };
  await check('three layers', [top, middle, bottom]);

  await device.write(Buffer.from('new'), cut + 5);
  const whole = await readAt(device, cut, SECTOR_BYTES);
  t.equal(whole.subarray(5, 8).toString(), 'new');
  whole.fill(0, 5, 8);
  t.ok(isZero(whole), 'a partial write above the cut is merged with zeros');
});

t.test('a discard above the smallest size writes nothing', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, 2 * MIB);
  const writer = await openStack(t, [bottom]);
  await writer.write(pattern(2 * MIB, 2), 0);
  await writer.close();
  const layers = [newLayer(directory, 2 * MIB), newLayer(directory, MIB), bottom];
  const device = await openStack(t, layers);
  await device.discard(MIB, MIB);
  t.equal(device.stats().allocatedBytes, 0);
});
