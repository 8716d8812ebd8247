/**
 * When a key is lost its disks stop within a second and lose nothing that was acknowledged; when it
 * comes back the same device goes on. A closed gate is no fault of the disk, and poisons nothing.
 */
import t, { type Test as Tap } from 'tap';
import { addon, type Device } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern, pushLayer, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const closed = { code: 'GATE_CLOSED' };

async function everyRequestIsRefused(t: Tap, device: Device): Promise<void> {
  await t.rejects(device.read(Buffer.alloc(1), 0), closed);
  await t.rejects(device.write(Buffer.alloc(1), 0), closed);
  await t.rejects(device.flush(), closed);
  await t.rejects(device.discard(0, 1), closed);
  await t.rejects(device.writeZeroes(0, 1), closed);
  await t.rejects(device.seekData(0), closed);
  await t.rejects(device.seekHole(0), closed);
  await t.rejects(device.hold(), closed);
}

t.test('a cut-off device refuses everything and goes on after restore', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, MIB);
  const device = await openStack(t, [bottom]);
  await device.write(pattern(5000, 1), 100);
  const top = await pushLayer(device, directory);
  await device.write(pattern(5000, 2), 3000);
  const before = await readAt(device, 0, MIB);

  t.match(await device.cutOff(5000), { flushed: true });
  t.match(device.stats(), { gate: 'closed', poisoned: false });
  await everyRequestIsRefused(t, device);
  t.equal(device.sizeBytes, MIB, 'its size can still be asked for');

  await device.restore([top.dataKey, bottom.dataKey]);
  t.match(device.stats(), { gate: 'open', poisoned: false });
  t.ok((await readAt(device, 0, MIB)).equals(before));
  await device.write(pattern(10, 3), 0);
  await device.flush();
});

t.test('a second cut-off answers with the report of the first', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  const [first, second] = await Promise.all([device.cutOff(5000), device.cutOff(5000)]);
  t.same(second, first);
  t.same(await device.cutOff(0), first);
});

t.test('restore needs a closed gate and one key for each layer', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await t.rejects(device.restore([layer.dataKey]), { code: 'BUSY' });
  await device.cutOff(5000);
  await t.rejects(device.restore([]), { code: 'INVALID_ARGUMENT' });
  await t.rejects(device.restore([layer.dataKey, layer.dataKey]), { code: 'INVALID_ARGUMENT' });
  await t.rejects(device.restore([addon.randomSecret(32)]), { code: 'INVALID_ARGUMENT' });
  t.equal(device.stats().gate, 'closed');
  await device.restore([layer.dataKey]);
  t.equal(device.stats().gate, 'open');
});

t.test('a cut-off wins over a hold and wakes those who wait', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.hold();
  const waiting = Promise.allSettled([
    device.read(Buffer.alloc(1), 0),
    device.write(Buffer.alloc(1), 0),
  ]);
  t.match(await device.cutOff(5000), { flushed: true });
  const refused = { status: 'rejected', reason: closed };
  t.match(await waiting, [refused, refused]);
  device.resume();
  t.equal(device.stats().gate, 'closed', 'resume does not open a closed gate');
  await device.restore([layer.dataKey]);
});

// The records may name the new layer by then, and the device must follow them.
t.test('a layer can still be swapped in when a cut-off came after the hold', async (t) => {
  const directory = tempDirectory(t);
  const bottom = newLayer(directory, MIB);
  const device = await openStack(t, [bottom]);
  await device.write(pattern(100, 1), 0);
  await device.hold();
  await device.cutOff(5000);
  const top = newLayer(directory, 2 * MIB);
  await device.stageTop(top);
  device.swapTop();
  device.resume();
  await everyRequestIsRefused(t, device);
  await device.restore([top.dataKey, bottom.dataKey]);
  t.equal(device.sizeBytes, 2 * MIB);
  t.ok((await readAt(device, 0, 100)).equals(pattern(100, 1)));
});

t.test('a closed device refuses everything, and closing twice is harmless', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.close();
  await device.close();
  await everyRequestIsRefused(t, device);
  await t.rejects(device.restore([layer.dataKey]), closed);
  t.match(await device.cutOff(100), { flushed: true });
  t.match(device.stats(), { gate: 'closed', layers: 0, allocatedBytes: 0 });
});
