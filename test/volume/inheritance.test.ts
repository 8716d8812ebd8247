// EVS-inheritance, IMS-05, IMS-06, IMS-08: a disk made from another one has its master key; the
// default keys are those of the service that makes the disk.
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { caller, mib, newState } from '../support/state.js';

t.test('master keys are inherited', async (t) => {
  const { disks, keys, runtimeDir } = await newState(t);
  const { volumes, images, snapshots } = disks;
  const key = await keys.createKey({ alias: 'app-db' }, caller);
  const file = join(runtimeDir, 'raw');
  writeFileSync(file, Buffer.alloc(5000, 'x'));
  const sizeBytes = 8 * mib;

  await volumes.create({ name: 'db', sizeBytes, key: 'app-db' }, caller);
  await snapshots.create('db@one', caller);
  await images.create({ name: 'from-volume', volume: 'db' }, caller);
  await images.create({ name: 'from-snapshot', snapshot: 'db@one' }, caller);
  await volumes.clone('db', 'clone', caller);
  await volumes.create({ name: 'from-image', image: 'from-volume' }, caller);
  await volumes.create({ name: 'larger', snapshot: 'db@one', sizeBytes: 2 * sizeBytes }, caller);

  const made = [...(await volumes.list()), ...(await images.list()), ...(await snapshots.list())];
  t.equal(made.length, 7);
  for (const { record } of made) t.equal(record.keyId, key.id, `${record.name} has the key`);
  t.same(
    disks.impact(key.id).map((disk) => `${disk.kind} ${disk.name}`),
    [
      'volume clone',
      'volume db',
      'volume from-image',
      'volume larger',
      'snapshot db@one',
      'image from-snapshot',
      'image from-volume',
    ],
    'the blast radius is the whole lineage',
  );
  t.equal((await volumes.show('larger')).record.sizeBytes, 2 * sizeBytes);
  t.equal((await volumes.show('larger')).record.source, 'snapshot:db@one');

  const empty = await volumes.create({ name: 'empty', sizeBytes }, caller);
  t.equal(empty.disk.record.keyId, keys.findKey('evs/default').id);
  const volume = await volumes.create({ name: 'from-file', file }, caller);
  t.equal(volume.disk.record.keyId, keys.findKey('evs/default').id);
  t.same(volume.remarks, ['padded by 3192 bytes to a multiple of 4096']);
  const image = await images.create({ name: 'from-file', file }, caller);
  t.equal(image.disk.record.keyId, keys.findKey('ims/default').id);
  const chosen = await images.create({ name: 'chosen', file, key: 'app-db' }, caller);
  t.equal(chosen.disk.record.keyId, key.id);
});
