// A stack may be 256 layers deep. What would go beyond is refused before anything is made, and says
// what to do; what makes no layer is not.
import t from 'tap';
import { randomUUID } from 'node:crypto';
import { maxStackDepth } from '../../dist/disk/lineage.js';
import { isRoot } from '../support/temp.js';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';

const skip = isRoot ? false : 'needs the disks of root';

/** Puts records of so many layers under the volume; nothing opens them. */
async function deepen({ store }: State, volume: string, layers: number): Promise<void> {
  let below: string | null = null;
  for (let layer = 0; layer < layers; layer++) {
    const id = randomUUID();
    const sql = `INSERT INTO layers (id, parent_id, key_id, size_bytes, generation, preallocated,
      created_at_ms) SELECT ?, ?, key_id, size_bytes, 1, 0, 0 FROM disks WHERE name = ?`;
    await store.commit([{ sql, params: [id, below, volume] }]);
    below = id;
  }
  const sql = `UPDATE layers SET parent_id = ? WHERE id =
    (SELECT top_layer_id FROM disks WHERE name = ?)`;
  await store.commit([{ sql, params: [below, volume] }]);
}

t.test('nothing stands over 256 layers', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes, snapshots, images } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: mib }, caller);
  await deepen(state, 'db', maxStackDepth - 2);
  await snapshots.create('db@last', caller);
  t.equal((await volumes.show('db')).layerCount, 256, 'the last snapshot that fits');

  const before = fingerprint(state);
  const refused = { code: 'LIMIT_REACHED', hint: /copy its data to a new volume|roll it back/ };
  await t.rejects(snapshots.create('db@more', caller), refused);
  await t.rejects(volumes.clone('db', 'clone', caller), refused);
  await t.rejects(images.create({ name: 'base', volume: 'db' }, caller), refused);
  t.equal(fingerprint(state), before, 'nothing was made');

  t.equal(
    await outcomeOf(
      volumes.create({ name: 'web', snapshot: 'db@last', preallocate: true }, caller),
    ),
    'done',
  );
  t.equal((await volumes.show('web')).layerCount, 256, 'over 255 layers there is room for one');
  await t.rejects(volumes.resize('web', { sizeBytes: 2 * mib }, caller), refused);
  await volumes.resize('db', { sizeBytes: 2 * mib }, caller);
  t.equal((await volumes.show('db')).layerCount, 256, 'a resize takes the place of an empty top');
  await images.create({ name: 'base', snapshot: 'db@last' }, caller);
  await snapshots.rollback('db@last', caller);
  t.equal((await volumes.show('db')).layerCount, 256, 'a rollback takes the place of the top');
  await snapshots.delete('db@last', caller);
  await images.delete('base', caller);
  await images.create({ name: 'whole', volume: 'web' }, caller).then(
    () => t.fail('an image of a volume of 256 layers was made'),
    (error: unknown) => t.match(error, refused),
  );
});
