/**
 * After a failed fsync the kernel calls the lost pages clean, and the next fsync succeeds: believing
 * it would lose acknowledged data in silence. So one failure poisons the disk until it is attached
 * again. Other failures do not.
 */
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const poisoned = { code: 'DISK_POISONED' };
t.afterEach(() => addon.clearBlockFaults());

t.test('a failed flush poisons the disk until it is attached again', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(100, 1), 0);
  addon.injectBlockFault('sync', { errno: 5, pathContains: layer.path });
  await t.rejects(device.flush(), { code: 'IO_ERROR' });
  t.match(device.stats(), { gate: 'open', poisoned: true });
  await t.rejects(device.flush(), poisoned, 'the next flush does not pretend');
  await t.rejects(device.write(Buffer.alloc(1), 0), poisoned);
  await t.rejects(device.discard(0, 4096), poisoned);
  await t.rejects(device.writeZeroes(0, 4096), poisoned);
  await t.rejects(device.hold(), poisoned);
  t.equal(device.stats().gate, 'open', 'the failed hold let requests go on');
  await t.resolves(device.read(Buffer.alloc(1), 0));
  t.match(await device.cutOff(5000), { flushed: false });
  await device.restore([layer.dataKey]);
  await t.rejects(device.write(Buffer.alloc(1), 0), poisoned, 'restore does not heal');
  await t.rejects(device.close(), poisoned);

  const again = await openStack(t, [layer]);
  t.match(again.stats(), { poisoned: false });
  await again.write(pattern(100, 2), 0);
  await again.flush();
  t.ok((await readAt(again, 0, 100)).equals(pattern(100, 2)));
});

t.test('every flush that waits for one failing sync fails', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(100, 1), 0);
  addon.injectBlockFault('sync', { errno: 5, delayMs: 200, pathContains: layer.path });
  const results = await Promise.allSettled([device.flush(), device.flush(), device.flush()]);
  t.same(
    results.map((result) => result.status),
    ['rejected', 'rejected', 'rejected'],
  );
});

for (const how of ['hold', 'close'] as const) {
  t.test(`a sync that fails in ${how} is reported and poisons`, async (t) => {
    const layer = newLayer(tempDirectory(t), MIB);
    const device = await openStack(t, [layer]);
    await device.write(pattern(100, 1), 0);
    addon.injectBlockFault('sync', { errno: 5, pathContains: layer.path });
    await t.rejects(device[how](), { code: 'IO_ERROR' });
    t.match(device.stats(), { poisoned: true, gate: how === 'hold' ? 'open' : 'closed' });
  });
}

t.test('a sync that fails in a cut-off is reported and poisons', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(100, 1), 0);
  addon.injectBlockFault('sync', { errno: 5, pathContains: layer.path });
  t.match(await device.cutOff(5000), { flushed: false });
  t.match(device.stats(), { poisoned: true, gate: 'closed' });
});

t.test('a cut-off with nothing unflushed needs no sync', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(100, 1), 0);
  await device.flush();
  addon.injectBlockFault('sync', { errno: 5, sticky: true, pathContains: layer.path });
  t.match(await device.cutOff(5000), { flushed: true });
  t.match(device.stats(), { poisoned: false });
});

t.test('a failed read or write is told and poisons nothing', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(8192, 1), 0);
  const pathContains = layer.path;
  addon.injectBlockFault('write', { errno: 5, pathContains });
  await t.rejects(device.write(pattern(10, 2), 0), { code: 'IO_ERROR' });
  addon.injectBlockFault('write', { errno: 28, pathContains });
  await t.rejects(device.write(pattern(10, 2), 0), { code: 'NO_SPACE' });
  addon.injectBlockFault('read', { errno: 5, pathContains });
  await t.rejects(device.read(Buffer.alloc(10), 0), { code: 'IO_ERROR' });
  addon.injectBlockFault('punch-hole', { errno: 5, pathContains });
  await t.rejects(device.discard(0, 8192), { code: 'IO_ERROR' });
  t.match(device.stats(), { poisoned: false });
  t.ok((await readAt(device, 0, 8192)).equals(pattern(8192, 1)));
  await device.write(pattern(10, 3), 0);
  await device.flush();
});
