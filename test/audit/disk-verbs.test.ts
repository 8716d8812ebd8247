// Every verb on a disk leaves exactly one record of its own, done or refused, beside those of the
// keys it used; one that is refused says why.
import t from 'tap';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import { raw } from '../support/export-targets.js';
import { caller, mib, newState, outcomeOf } from '../support/state.js';
import { isRoot } from '../support/temp.js';

const skip = isRoot ? false : 'mounting needs root';
const keyActions = new Set(['createKey', 'useKey', 'createDataKey', 'decryptDatakey']);

t.test('one verb, one record', { skip, timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { volumes, images, snapshots } = state.disks;
  const directory = join(state.runtimeDir, '..', 'mnt');
  mkdirSync(directory);
  let seen = 0;
  const leaves = async (
    work: () => Promise<unknown>,
    action: string,
    resource: string | RegExp,
    refusal = '',
  ): Promise<void> => {
    t.equal(await outcomeOf(work()), refusal === '' ? 'done' : refusal);
    const fresh = listAudit(state.audit, { sinceSequence: seen, limit: 1000 });
    seen = fresh.at(-1)?.sequence ?? seen;
    const own = fresh.filter((entry) => !keyActions.has(entry.action));
    const result = refusal === '' ? 'allowed' : 'refused';
    t.match(
      own,
      [{ action, resource, result, detail: refusal || String, principal: 'test' }],
      action,
    );
    t.equal(own.length, 1, `${action} of ${String(resource)}: one record`);
  };
  const sizeBytes = 64 * mib;
  const make = (name: string) => () => volumes.create({ name, sizeBytes }, caller);
  await leaves(make('db'), 'createVolume', 'volume db');
  await leaves(make('db'), 'createVolume', 'volume db', 'VOLUME_EXISTS');
  await leaves(make('\n'), 'createVolume', 'volume \\u{a}', 'INVALID_NAME');
  const mount = () => volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  await leaves(mount, 'mountVolume', 'volume db');
  await leaves(mount, 'mountVolume', 'volume db', 'WRONG_STATE');
  await leaves(() => volumes.delete('db', caller), 'deleteVolume', 'volume db', 'WRONG_STATE');
  await leaves(() => volumes.unmount('db', caller), 'unmountVolume', 'volume db');
  await leaves(() => volumes.unmount('db', caller), 'unmountVolume', 'volume db', 'WRONG_STATE');
  await leaves(() => volumes.attach('db', {}, caller), 'attachVolume', 'volume db');
  await leaves(
    () => volumes.attach('no', {}, caller),
    'attachVolume',
    'volume no',
    'VOLUME_NOT_FOUND',
  );
  await leaves(() => snapshots.create('db@a', caller), 'createSnapshot', 'snapshot db@a');
  await leaves(
    () => snapshots.create('db@a', caller),
    'createSnapshot',
    'snapshot db@a',
    'SNAPSHOT_EXISTS',
  );
  await leaves(
    () => snapshots.rollback('db@a', caller),
    'rollbackSnapshot',
    'snapshot db@a',
    'WRONG_STATE',
  );
  await leaves(() => volumes.detach('db', {}, caller), 'detachVolume', 'volume db');
  await leaves(() => snapshots.rollback('db@a', caller), 'rollbackSnapshot', 'snapshot db@a');
  await leaves(() => volumes.clone('db', 'two', caller), 'createVolume', 'volume two');
  await leaves(() => volumes.rename('two', 'web', caller), 'updateVolume', 'volume two');
  await leaves(
    () => volumes.rename('web', 'a/b', caller),
    'updateVolume',
    'volume web',
    'INVALID_NAME',
  );
  await leaves(
    () => volumes.setOnKeyLoss('wep', 'suspend', caller),
    'updateVolume',
    'volume wep',
    'VOLUME_NOT_FOUND',
  );
  const image = () => images.create({ name: 'i', volume: 'web' }, caller);
  await leaves(image, 'createImage', 'image i');
  await leaves(image, 'createImage', 'image i', 'IMAGE_EXISTS');
  await leaves(() => images.attach('i', {}, caller), 'attachImage', 'image i');
  await leaves(() => images.delete('i', caller), 'deleteImage', 'image i', 'WRONG_STATE');
  await leaves(() => images.detach('i', {}, caller), 'detachImage', 'image i');
  await leaves(() => images.rename('i', 'j', caller), 'updateImage', 'image i');
  await leaves(() => images.delete('j', caller), 'deleteImage', 'image j');
  await leaves(() => snapshots.delete('db@a', caller), 'deleteSnapshot', 'snapshot db@a');
  await leaves(
    () => snapshots.delete('db@a', caller),
    'deleteSnapshot',
    'snapshot db@a',
    'SNAPSHOT_NOT_FOUND',
  );
  const grown = { sizeBytes: 1024 * mib };
  await leaves(() => volumes.resize('web', grown, caller), 'updateVolume', 'volume web');
  const small = { sizeBytes: 4096 };
  await leaves(
    () => volumes.resize('web', small, caller),
    'updateVolume',
    'volume web',
    'INVALID_SIZE',
  );
  await leaves(() => volumes.delete('web', caller), 'deleteVolume', 'volume web');
  await make('plain')();
  seen = listAudit(state.audit, { limit: 1 })[0]?.sequence ?? 0;
  const file = join(state.runtimeDir, 'key');
  await leaves(
    () => volumes.exportKey('db', file, caller),
    'exportKey',
    'volume db',
    'UNSUPPORTED',
  );
  await leaves(() => volumes.exportKey('plain', file, caller), 'exportKey', /^volume plain \(/);
  const out = raw(join(state.runtimeDir, 'raw'));
  await leaves(() => volumes.export('plain', out, caller), 'exportVolume', /^volume plain \(/);
  await leaves(
    () => volumes.export('plain', out, caller),
    'exportVolume',
    'volume plain',
    'FILE_EXISTS',
  );
  await leaves(() => volumes.check('plain', {}, caller), 'checkVolume', 'volume plain');
  await leaves(() => images.check('no', {}, caller), 'checkImage', 'image no', 'IMAGE_NOT_FOUND');
});
