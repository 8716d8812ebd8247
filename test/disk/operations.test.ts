// What a device tells of its requests: how many, how long, how many of them failed.
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import type { OperationCounts } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

function total({ buckets }: OperationCounts): number {
  return buckets.reduce((sum, { count }) => sum + count, 0);
}

t.test('every request is counted once, under its kind', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  await device.write(pattern(8192, 1), 0);
  await device.read(Buffer.alloc(4096), 0);
  await device.read(Buffer.alloc(4096), 0);
  await device.flush();
  await device.discard(0, 4096);
  await device.writeZeroes(4096, 4096);
  const { read, write, flush, discard } = device.operations();
  t.same([read, write, flush, discard].map(total), [2, 1, 1, 2]);
  t.same(
    [read, write, flush, discard].map(({ errors }) => errors),
    [0, 0, 0, 0],
  );
  t.ok([read, write, flush, discard].every(({ seconds }) => seconds > 0 && seconds < 10));
});

t.test('bounds rise, and the last bucket takes everything', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  const bounds = device.operations().read.buckets.map(({ upToSeconds }) => upToSeconds);
  t.same(
    bounds,
    [...bounds].sort((a, b) => a - b),
  );
  t.equal(new Set(bounds).size, bounds.length);
  t.equal(bounds.at(-1), Infinity);
});

t.test('a slow request lands in the bucket of its time', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  await device.write(pattern(4096, 1), 0);
  t.teardown(() => addon.clearBlockFaults());
  addon.injectBlockFault('read', { errno: 0, delayMs: 60 });
  await device.read(Buffer.alloc(4096), 0);
  const slow = device.operations().read.buckets.filter(({ count }) => count > 0);
  t.equal(slow.length, 1);
  t.ok((slow[0]?.upToSeconds ?? 0) >= 0.06, 'not faster than it was');
});

t.test('failures count as errors: of the storage, of the range, of a closed gate', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  await device.write(pattern(4096, 1), 0);
  t.teardown(() => addon.clearBlockFaults());
  addon.injectBlockFault('read', { errno: 5 });
  await t.rejects(device.read(Buffer.alloc(4096), 0), { code: 'IO_ERROR' });
  addon.clearBlockFaults();
  await t.rejects(device.read(Buffer.alloc(4096), MIB), { code: 'OUT_OF_RANGE' });
  await device.cutOff(1000);
  await t.rejects(device.read(Buffer.alloc(4096), 0), { code: 'GATE_CLOSED' });
  const { read } = device.operations();
  t.equal(read.errors, 3);
  t.equal(total(read), 3);
});
