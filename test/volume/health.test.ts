// What `status` and `show` say of a disk: well, locked by its key, or failed and how to cure it.
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import type { UnwellDisk } from '../../dist/volume/health.js';
import { open } from 'node:fs/promises';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

const cured = (disk: UnwellDisk | undefined): boolean => disk?.cure !== undefined;

t.test('a disk is well, detached or attached, and locked while its key is disabled', async (t) => {
  const { disks, keys } = await newState(t);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  t.same(disks.unwell(), []);
  await disks.volumes.attach('db', {}, caller);
  t.same((await disks.volumes.show('db')).health, { state: 'ok' });
  await keys.disableKey('app', caller);
  const [locked] = disks.unwell();
  t.match(locked, { name: 'db', kind: 'volume', state: 'locked', reason: /app is disabled/ });
  t.match(locked?.cure, /keyvol key enable app/);
  t.same((await disks.volumes.show('db')).health.state, 'locked');
  await keys.enableKey('app', caller);
  t.same(disks.unwell(), []);
});

t.test('a detached disk of a disabled key needs nothing', async (t) => {
  const { disks, keys } = await newState(t);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  await keys.disableKey('app', caller);
  t.same(disks.unwell(), []);
});

t.test('a failed flush makes a disk fail until it is attached again', async (t) => {
  const { disks } = await newState(t);
  await disks.volumes.create({ name: 'db', sizeBytes: mib }, caller);
  const { attachment } = await disks.volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  await file.write(Buffer.alloc(4096, 1), 0, 4096, 0);
  addon.injectBlockFault('sync', { errno: 5, pathContains: '.luks' });
  t.equal(await outcomeOf(file.sync()), 'EIO');
  addon.clearBlockFaults();
  await file.close();
  const [failed] = disks.unwell();
  t.match(failed, { name: 'db', state: 'failed', reason: /flush failed/ });
  t.ok(cured(failed));
  await outcomeOf(disks.volumes.detach('db', {}, caller));
  await disks.volumes.attach('db', {}, caller);
  t.same(disks.unwell(), []);
});

t.test('a disk whose key was deleted has failed for good', async (t) => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, bootTimeMs: () => nowMs };
  const { disks, keys } = await newState(t, clock);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  await disks.snapshots.create('db@one', caller);
  await keys.scheduleDeletion('app', 7, caller);
  await keys.tick();
  nowMs += 8 * 24 * 3600 * 1000;
  await keys.tick();
  t.same(
    disks.unwell().map(({ name, state }) => [name, state]),
    [
      ['db', 'failed'],
      ['db@one', 'failed'],
    ],
  );
  t.match(disks.unwell()[1], { reason: /was deleted/, cure: 'keyvol snapshot delete db@one' });
});
