// A snapshot whose new top cannot be opened is refused before anything says that it was made, and
// the volume goes on as it was.
import t from 'tap';
import { open } from 'node:fs/promises';
import { addon, type DeviceOptions } from '../../dist/device/index.js';
import { Fault } from '../../dist/fault.js';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

t.test('a top that cannot be opened', async (t) => {
  const { disks, keys } = await newState(t);
  const { volumes, snapshots } = disks;
  await keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  const openDevice = addon.openDevice.bind(addon);
  t.teardown(() => (addon.openDevice = openDevice));
  addon.openDevice = async (options: DeviceOptions) => {
    const device = await openDevice(options);
    const value = () => Promise.reject(new Fault('IO_ERROR', 'injected'));
    return Object.defineProperty(device, 'stageTop', { value });
  };
  const { attachment } = await volumes.attach('db', {}, caller);
  addon.openDevice = openDevice;
  const file = await open(attachment?.path ?? '', 'r+');
  const write = (): Promise<unknown> => file.write(Buffer.alloc(4096, 'w'), 0, 4096, 0);
  await write();
  t.equal(await outcomeOf(snapshots.create('db@one', caller)), 'IO_ERROR');
  t.same(await snapshots.list(), [], 'there is no snapshot');
  t.equal(await outcomeOf(write()), 'done');
  await keys.disableKey('app', caller);
  t.match((await keys.enableKey('app', caller)).disks, [{ outcome: 'reopened' }]);
  t.equal(await outcomeOf(write()), 'done');
  await file.close();
});
