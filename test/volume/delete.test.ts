// A deleted disk loses its name; its layers go when the last disk that needs them goes.
import t from 'tap';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

t.test('deleting in any order leaves no container', async (t) => {
  const state = await newState(t);
  const { volumes, images, snapshots } = state.disks;
  const containers = (): number => readdirSync(join(state.stateDir, 'layers')).length;
  await volumes.create({ name: 'db', sizeBytes: mib }, caller);
  await snapshots.create('db@one', caller);
  await snapshots.create('db@two', caller);
  await images.create({ name: 'base', snapshot: 'db@two' }, caller);
  await volumes.create({ name: 'web', image: 'base' }, caller);
  t.equal(containers(), 4, 'two frozen layers and two tops');

  const image = await images.delete('base', caller);
  t.equal(image.keptLayers, 2);
  t.same([...image.neededBy].sort(), [
    'snapshot db@one',
    'snapshot db@two',
    'volume db',
    'volume web',
  ]);
  t.equal(containers(), 4);
  t.equal(await outcomeOf(volumes.delete('db', caller)), 'WRONG_STATE', 'it has snapshots');
  await snapshots.rollback('db@one', caller);
  t.equal(containers(), 4, 'a new top came, the former one went');
  await snapshots.delete('db@two', caller);
  await snapshots.delete('db@one', caller);
  await volumes.delete('db', caller);
  t.equal(containers(), 3, 'web needs its own top and both frozen layers');
  t.same(await volumes.delete('web', caller), { name: 'web', keptLayers: 0, neededBy: [] });
  t.equal(containers(), 0);
  t.equal(state.store.all('SELECT id FROM layers').length, 0);
});
