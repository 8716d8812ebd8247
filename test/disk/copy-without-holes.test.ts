/**
 * The ciphertext decides what was written, not the holes of the file: a container copied by a tool
 * that fills holes with zeros still shows the layers below.
 */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { isZero, MIB, newLayer, openStack, pattern, pushLayer, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 2 * MIB;

t.test('layers copied without their holes read the same', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, sizeBytes);
  const device = await openStack(t, [bottom]);
  await device.write(pattern(MIB, 1), 0);
  const middle = await pushLayer(device, directory);
  await device.write(pattern(10_000, 2), 300_000);
  const top = await pushLayer(device, directory);
  await device.write(pattern(5000, 3), 500_000);
  const expected = await readAt(device, 0, sizeBytes);
  await device.close();

  const copies = [top, middle, bottom].map((layer) => {
    const path = `${layer.path}.copy`;
    execFileSync('cp', ['--sparse=never', layer.path, path]);
    return { ...layer, path };
  });
  const copy = await openStack(t, copies);
  t.ok((await readAt(copy, 0, sizeBytes)).equals(expected));
  t.ok((await readAt(copy, 0, sizeBytes)).equals(expected), 'also when it is known what is absent');
  await copy.discard(0, sizeBytes);
  t.ok(isZero(await readAt(copy, 0, sizeBytes)));
});
