// A volume that was frozen by the records but whose device could not take its new top must never
// write again: its old top belongs to the snapshot now. Not even its key's return may open it.
import t from 'tap';
import { open } from 'node:fs/promises';
import { addon, type DeviceOptions } from '../../dist/device/index.js';
import { Fault } from '../../dist/fault.js';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

t.test('a swap that fails ends the attachment', async (t) => {
  const { disks, keys } = await newState(t);
  const { volumes, snapshots } = disks;
  await keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  const openDevice = addon.openDevice.bind(addon);
  t.teardown(() => (addon.openDevice = openDevice));
  addon.openDevice = async (options: DeviceOptions) => {
    const device = await openDevice(options);
    const value = () => Promise.reject(new Fault('IO_ERROR', 'injected'));
    return Object.defineProperty(device, 'swapTop', { value });
  };
  const { attachment } = await volumes.attach('db', {}, caller);
  addon.openDevice = openDevice;
  const file = await open(attachment?.path ?? '', 'r+');
  const write = (): Promise<unknown> => file.write(Buffer.alloc(4096, 'w'), 0, 4096, 0);
  await write();
  t.equal(await outcomeOf(snapshots.create('db@one', caller)), 'IO_ERROR');
  t.equal(await outcomeOf(write()), 'EIO');
  await keys.disableKey('app', caller);
  t.match((await keys.enableKey('app', caller)).disks, [{ outcome: 'reopen-failed' }]);
  t.equal(await outcomeOf(write()), 'EIO', 'the snapshot stays what it is');
  await file.close();
  await volumes.detach('db', {}, caller);
  t.equal(await outcomeOf(volumes.attach('db', {}, caller)), 'done');
});
