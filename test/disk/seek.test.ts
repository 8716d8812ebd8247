/**
 * Tools that copy disks ask where the data is. A reported hole must read as zeros through all
 * layers; and a sparse disk must look sparse, or copies of it fill the host.
 */
import t from 'tap';
import { KIB, MIB, newLayer, openStack, pattern, pushLayer } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

t.test('data and holes are told through all layers', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, 8 * MIB);
  const device = await openStack(t, [bottom]);
  t.equal(await device.seekData(0), undefined, 'an empty disk has no data');
  t.equal(await device.seekHole(0), 0);
  await device.write(pattern(8 * KIB, 1), 2 * MIB);
  const top = await pushLayer(device, directory);
  await device.write(pattern(100, 2), 2 * MIB + 8 * KIB + 50);
  await device.write(pattern(4 * KIB, 2), 8 * MIB - 4 * KIB);

  for (const reopened of [false, true]) {
    if (reopened) await device.close();
    const disk = reopened ? await openStack(t, [top, bottom]) : device;
    t.equal(await disk.seekData(0), 2 * MIB);
    t.equal(await disk.seekData(2 * MIB + 5), 2 * MIB + 5, 'inside data it stays');
    t.equal(await disk.seekHole(2 * MIB + 5), 2 * MIB + 12 * KIB, 'both layers make one run');
    t.equal(await disk.seekHole(3 * MIB + 5), 3 * MIB + 5, 'inside a hole it stays');
    t.equal(await disk.seekData(3 * MIB), 8 * MIB - 4 * KIB);
    t.equal(await disk.seekHole(8 * MIB - 1), 8 * MIB, 'the end of the disk is a hole');
    t.equal(await disk.seekData(8 * MIB), undefined);
    t.equal(await disk.seekHole(8 * MIB), undefined);
  }
});
