/**
 * How a gate is closed decides what requests meet behind it: an error, or a wait until the key is
 * back. A frozen filesystem must meet no error on its writes and flushes, or it would never write
 * again.
 */
import t, { type Test as Tap } from 'tap';
import { addon, type Closing, type Device, type DeviceLayer } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const closed = { code: 'GATE_CLOSED' };
const requests = {
  read: (device: Device) => device.read(Buffer.alloc(1), 0),
  seekData: (device: Device) => device.seekData(0),
  seekHole: (device: Device) => device.seekHole(0),
  write: (device: Device) => device.write(Buffer.alloc(1, 1), 0),
  discard: (device: Device) => device.discard(0, 4096),
  writeZeroes: (device: Device) => device.writeZeroes(0, 4096),
  flush: (device: Device) => device.flush(),
} as const;
type Request = keyof typeof requests;
type Fate = 'refused' | 'waits' | 'succeeds';

const fates: Record<Closing, Record<'look' | 'change' | 'flush', Fate>> = {
  refuse: { look: 'refused', change: 'refused', flush: 'refused' },
  'hold-writes': { look: 'refused', change: 'waits', flush: 'succeeds' },
  suspend: { look: 'waits', change: 'waits', flush: 'waits' },
};

const kindOf = (request: Request): 'look' | 'change' | 'flush' => {
  if (request === 'flush') return 'flush';
  return request === 'read' || request.startsWith('seek') ? 'look' : 'change';
};

async function fateOf(request: Promise<unknown>): Promise<Fate> {
  const settled = request.then(
    (): Fate => 'succeeds',
    (error: unknown): Fate => {
      if ((error as { code?: unknown }).code === 'GATE_CLOSED') return 'refused';
      throw error;
    },
  );
  const waits = new Promise<Fate>((resolve) => setTimeout(resolve, 60, 'waits'));
  return await Promise.race([settled, waits]);
}

async function closedDevice(t: Tap, closing: Closing): Promise<[Device, DeviceLayer]> {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(5000, 1), 0);
  t.match(await device.cutOff(5000, closing), { flushed: true, running: false });
  return [device, layer];
}

for (const closing of ['refuse', 'hold-writes', 'suspend'] as const) {
  for (const name of Object.keys(requests) as Request[]) {
    t.test(`${closing}: ${name}`, async (t) => {
      const [device, layer] = await closedDevice(t, closing);
      const request = requests[name](device);
      request.catch(() => undefined);
      const fate = await fateOf(request);
      t.equal(fate, fates[closing][kindOf(name)]);
      await device.restore([layer.dataKey]);
      if (fate === 'waits') await request;
      t.match(device.stats(), { gate: 'open', poisoned: false });
      t.ok((await readAt(device, 4096, 904)).equals(pattern(5000, 1).subarray(4096)));
    });
  }
}

t.test('what waits is decided about anew when the gate is closed in another way', async (t) => {
  const [device, layer] = await closedDevice(t, 'suspend');
  const read = device.read(Buffer.alloc(1), 0);
  const write = device.write(pattern(10, 2), 0);
  t.equal(await fateOf(Promise.race([read, write])), 'waits');
  await Promise.all([t.rejects(read, closed), device.cutOff(0, 'hold-writes')]);
  t.equal(await fateOf(write), 'waits');
  await Promise.all([t.rejects(write, closed), device.cutOff(0, 'refuse')]);
  await device.restore([layer.dataKey]);
  t.ok((await readAt(device, 0, 10)).equals(pattern(10, 1)), 'what was refused is not there');
});

t.test('closing a waiting device refuses what waits', async (t) => {
  const [device] = await closedDevice(t, 'suspend');
  const read = device.read(Buffer.alloc(1), 0);
  await Promise.all([t.rejects(read, closed), device.close()]);
});

t.test('a flush succeeds behind the gate only if the cut-off has flushed', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(10, 1), 0);
  addon.injectBlockFault('sync', { errno: 5 });
  t.teardown(() => addon.clearBlockFaults());
  t.match(await device.cutOff(5000, 'hold-writes'), { flushed: false });
  await t.rejects(device.flush(), { code: 'DISK_POISONED' });
});

t.test('a device opens closed, without its keys', async (t) => {
  const layer = newLayer(tempDirectory(t), MIB);
  const before = await openStack(t, [layer]);
  await before.write(pattern(5000, 1), 0);
  await before.close();
  const { path, sizeBytes, preallocated } = layer;
  const layers = [{ path, sizeBytes, preallocated }];
  const device = await addon.openDevice({ layers, writable: true, closed: 'hold-writes' });
  t.teardown(() => device.close());
  t.match(device.stats(), { gate: 'closed', poisoned: false });
  t.equal(device.sizeBytes, MIB);
  await t.rejects(device.read(Buffer.alloc(1), 0), closed);
  await device.flush();
  const write = device.write(pattern(10, 2), 0);
  t.equal(await fateOf(write), 'waits');
  await t.rejects(device.restore([]), { code: 'INVALID_ARGUMENT' });
  await device.restore([layer.dataKey]);
  await write;
  t.ok((await readAt(device, 0, 10)).equals(pattern(10, 2)));
  t.ok((await readAt(device, 10, 4990)).equals(pattern(5000, 1).subarray(10)));
});
