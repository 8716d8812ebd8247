/**
 * JavaScript hands native code sizes and buffers. What does not fit is refused with a fault, before
 * a thread touches memory that may not be there.
 */
import t from 'tap';
import { addon, type DeviceLayer } from '../../dist/device/index.js';
import { MIB, newLayer, openStack } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const refusal = { code: 'INVALID_ARGUMENT' };

t.test('offsets and lengths that are no safe, whole, positive number are refused', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    await t.rejects(device.read(Buffer.alloc(1), wrong), refusal);
    await t.rejects(device.write(Buffer.alloc(1), wrong), refusal);
    await t.rejects(device.discard(wrong, 1), refusal);
    await t.rejects(device.discard(0, wrong), refusal);
    await t.rejects(device.writeZeroes(wrong, 1), refusal);
    await t.rejects(device.seekData(wrong), refusal);
    await t.rejects(device.cutOff(wrong), refusal);
  }
  t.equal(device.stats().gate, 'open');
});

t.test('a device is not opened on layers that make no sense', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const open = (...layers: DeviceLayer[]) => addon.openDevice({ layers, writable: true });
  await t.rejects(open(), refusal);
  await t.rejects(open({ ...layer, sizeBytes: 0 }), refusal);
  await t.rejects(open({ ...layer, sizeBytes: 4095 }), refusal);
  await t.rejects(open({ ...layer, path: '' }), refusal);
  await t.rejects(open({ ...layer, path: `${layer.path}\0` }), refusal);
  await t.rejects(open({ ...layer, path: `${layer.path}.none` }), { code: 'FILE_NOT_FOUND' });
  await t.rejects(open({ ...layer, dataKey: addon.randomSecret(32) }), refusal);
  layer.dataKey.release();
  await t.rejects(open(layer), refusal);
});

t.test('write leaves the caller its plaintext', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), MIB)]);
  const data = Buffer.alloc(10_000, 7);
  await device.write(data, 3);
  t.ok(data.equals(Buffer.alloc(10_000, 7)));
});

t.test('a read-only device refuses to be written', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)], false);
  t.equal(device.writable, false);
  const readOnly = { code: 'READ_ONLY' };
  await t.rejects(device.write(Buffer.alloc(1), 0), readOnly);
  await t.rejects(device.discard(0, 1), readOnly);
  await t.rejects(device.writeZeroes(0, 1), readOnly);
  await t.resolves(device.flush());
  await device.hold();
  await t.rejects(device.stageTop(newLayer(directory, MIB)), readOnly);
  device.resume();
  await t.resolves(device.close());
});
