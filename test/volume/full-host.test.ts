// A full host refuses what would make a container, changes nothing, and keeps the space that the
// records of a lost key need: a key is disabled and enabled, disks are detached and deleted as ever.
import t from 'tap';
import { rmSync } from 'node:fs';
import { fillFilesystem, isRoot, smallFilesystem } from '../support/temp.js';
import { caller, fingerprint, mib, openState, outcomeOf } from '../support/state.js';

const skip = isRoot ? false : 'needs a filesystem of its own';

t.test('the host is full', { skip, timeout: 60_000 }, async (t) => {
  const directory = smallFilesystem(t, '32m');
  const state = await openState(t, directory);
  const { volumes, images, snapshots } = state.disks;
  const sizeBytes = 4 * mib;
  await state.keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes, key: 'app' }, caller);
  await volumes.create({ name: 'idle', sizeBytes, key: 'app' }, caller);
  await images.create({ name: 'base', volume: 'idle' }, caller);
  await volumes.attach('db', {}, caller);
  const filler = fillFilesystem(directory);
  const before = fingerprint(state);
  const makers: readonly [string, () => Promise<unknown>][] = [
    ['create', () => volumes.create({ name: 'new', sizeBytes }, caller)],
    ['from an image', () => volumes.create({ name: 'new', image: 'base' }, caller)],
    ['clone', () => volumes.clone('db', 'new', caller)],
    ['snapshot', () => snapshots.create('db@one', caller)],
    ['image', () => images.create({ name: 'new', volume: 'db' }, caller)],
    ['import', () => images.create({ name: 'new', file: process.execPath }, caller)],
  ];
  for (let round = 0; round < 5; round++) {
    for (const [what, make] of makers) t.equal(await outcomeOf(make()), 'NO_SPACE', what);
  }
  t.equal(fingerprint(state), before, 'nothing was begun');
  t.equal(state.keys.listKeys().length, 1, 'and no default key was made');
  const disabled = await state.keys.disableKey('app', caller);
  t.equal(disabled.unrecorded, undefined);
  t.match(disabled.disks, [{ disk: 'db', outcome: 'closed' }]);
  t.match((await state.keys.enableKey('app', caller)).disks, [{ outcome: 'reopened' }]);
  t.equal(await outcomeOf(volumes.detach('db', {}, caller)), 'done');
  t.equal(await outcomeOf(volumes.delete('idle', caller)), 'done');
  rmSync(filler);
  t.equal(await outcomeOf(snapshots.create('db@one', caller)), 'done');
});
