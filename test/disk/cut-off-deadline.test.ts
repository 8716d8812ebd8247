/**
 * A key's reply must not wait for slow storage: at the deadline the gate is closed whatever the
 * flush has reached, and a disk that may have lost writes says so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

t.afterEach(() => addon.clearBlockFaults());

t.test('what is in flight ends, is flushed, and was acknowledged rightly', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  addon.injectBlockFault('write', { errno: 0, delayMs: 400, pathContains: layer.path });
  const inFlight = device.write(pattern(5000, 1), 4096);
  await sleep(100);
  const cutOff = device.cutOff(10_000);
  await sleep(50);
  await t.rejects(device.read(Buffer.alloc(1), 0), { code: 'GATE_CLOSED' }, 'refused at once');
  await t.resolves(inFlight);
  t.match(await cutOff, { flushed: true });
  await device.restore([layer.dataKey]);
  t.ok((await readAt(device, 4096, 5000)).equals(pattern(5000, 1)));
});

t.test('the deadline is kept when the flush is slow, and the disk is poisoned', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(100, 1), 0);
  addon.injectBlockFault('sync', { errno: 0, delayMs: 3000, pathContains: layer.path });
  const started = performance.now();
  const report = await device.cutOff(200);
  t.ok(performance.now() - started < 1500, 'answered long before the flush could end');
  t.equal(report.flushed, false);
  t.ok(report.tookMs >= 200);
  t.match(device.stats(), { gate: 'closed', poisoned: true });
  t.same(await device.cutOff(5000), report, 'asked again, it says the same');

  // The last cut-off's flush ends first: its requests must not meet the new keys.
  await device.restore([layer.dataKey]);
  t.ok((await readAt(device, 0, 100)).equals(pattern(100, 1)));
  await t.rejects(device.write(Buffer.alloc(1), 0), { code: 'DISK_POISONED' });
});

t.test('the deadline is kept when a request hangs, whose answer then still comes', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(4096, 1), 0);
  addon.injectBlockFault('read', { errno: 0, delayMs: 1500, pathContains: layer.path });
  const buffer = Buffer.alloc(4096);
  const inFlight = device.read(buffer, 0);
  await sleep(100);
  t.match(await device.cutOff(100), { flushed: false });
  await inFlight;
  t.ok(buffer.equals(pattern(4096, 1)), 'it kept its cipher until it ended');
});

t.test('a disk that takes no writes cannot lose any', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const writer = await openStack(t, [layer]);
  await writer.write(pattern(4096, 1), 0);
  await writer.close();
  const device = await openStack(t, [layer], false);
  addon.injectBlockFault('read', { errno: 0, delayMs: 800, pathContains: layer.path });
  const inFlight = device.read(Buffer.alloc(4096), 0);
  await sleep(100);
  t.match(await device.cutOff(100), { flushed: true });
  t.match(device.stats(), { poisoned: false });
  await inFlight;
});
