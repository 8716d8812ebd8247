// A mounted volume survives the loss and the return of its key: frozen and gated, then thawed; ext4
// stays clean (fsck says so).
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isRoot } from '../support/temp.js';
import { caller, mib, newState, outcomeOf, type State } from '../support/state.js';

const skip = isRoot ? false : 'mounting needs root';

function directoryIn(state: State, name: string): string {
  const directory = join(state.stateDir, '..', name);
  mkdirSync(directory);
  return directory;
}

function isMounted(directory: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${directory} `);
}

t.test('mount, lose the key, get it back', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes, snapshots, images } = state.disks;
  const directory = directoryIn(state, 'mnt');
  await state.keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: 64 * mib, key: 'app' }, caller);
  t.equal(await outcomeOf(volumes.mount('db', { directory }, caller)), 'WRONG_STATE');
  t.equal((await volumes.show('db')).attachment, undefined, 'a mount that fails leaves nothing');
  const mounted = await volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  t.match(mounted.attachment, { mountedAt: directory, filesystem: 'ext4', gate: 'open' });
  t.equal(await outcomeOf(volumes.detach('db', {}, caller)), 'WRONG_STATE');
  t.equal(await outcomeOf(volumes.delete('db', caller)), 'WRONG_STATE');
  t.equal(await outcomeOf(volumes.mount('db', { directory }, caller)), 'WRONG_STATE');

  const held = await open(join(directory, 'held'), 'w+');
  await held.writeFile('held');
  writeFileSync(join(directory, 'kept'), 'kept');
  const disabled = await state.keys.disableKey('app', caller);
  t.match(disabled.disks, [{ disk: 'db', outcome: 'closed' }]);
  t.ok((disabled.disks[0]?.tookMs ?? 9999) <= 1000);
  t.ok(isMounted(directory), 'it stays mounted, frozen');
  t.throws(() => readFileSync(join(directory, 'kept')), { code: 'EIO' });
  await held.sync();
  await held.close();
  const enabled = await state.keys.enableKey('app', caller);
  t.match(enabled.disks, [{ disk: 'db', outcome: 'reopened' }]);
  t.ok(isMounted(directory));
  t.equal(readFileSync(join(directory, 'kept'), 'utf8'), 'kept');
  t.equal(readFileSync(join(directory, 'held'), 'utf8'), 'held');

  await snapshots.create('db@one', caller);
  await images.create({ name: 'base', volume: 'db' }, caller);
  writeFileSync(join(directory, 'kept'), 'changed');
  const imageDirectory = directoryIn(state, 'image');
  await images.mount('base', imageDirectory, caller);
  t.equal(readFileSync(join(imageDirectory, 'kept'), 'utf8'), 'kept', 'the image is clean');
  t.throws(() => writeFileSync(join(imageDirectory, 'kept'), 'no'), { code: 'EROFS' });
  await images.unmount('base', caller);
  await volumes.unmount('db', caller);
  t.notOk(isMounted(directory));
  t.equal((await volumes.show('db')).record.state, 'available', 'mount had attached it');

  const { attachment } = await volumes.attach('db', {}, caller);
  execFileSync('e2fsck', ['-fn', attachment?.path ?? ''], { stdio: 'ignore' });
  await volumes.detach('db', {}, caller);
});

t.test('where it must not be mounted', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes } = state.disks;
  const directory = directoryIn(state, 'mnt');
  await volumes.create({ name: 'db', sizeBytes: 64 * mib }, caller);
  await volumes.create({ name: 'two', sizeBytes: 64 * mib }, caller);
  await volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  mkdirSync(join(directory, 'inside'));
  const cases: readonly [string, string, object][] = [
    ['a missing directory', 'FILE_NOT_FOUND', { directory: `${directory}-not` }],
    ['a file', 'INVALID_ARGUMENT', { directory: join(state.stateDir, 'disks.db') }],
    ['the state directory', 'INVALID_ARGUMENT', { directory: state.stateDir }],
    ['a mount point', 'WRONG_STATE', { directory }],
    ['a disk of its own', 'INVALID_ARGUMENT', { directory: join(directory, 'inside') }],
    ['a filesystem we do not make', 'INVALID_ARGUMENT', { directory, mkfs: 'vfat' }],
    ['mkfs on a read-only one', 'READ_ONLY', { directory, mkfs: 'ext4', readOnly: true }],
  ];
  for (const [what, code, request] of cases) {
    const mount = volumes.mount('two', { directory, ...request }, caller);
    t.equal(await outcomeOf(mount), code, what);
    t.equal((await volumes.show('two')).attachment, undefined, `${what}: nothing is attached`);
  }
  const file = await open(join(directory, 'busy'), 'w');
  t.equal(await outcomeOf(volumes.unmount('db', caller)), 'BUSY');
  t.ok(isMounted(directory), 'it stays up');
  await file.close();
  await volumes.unmount('db', caller);
  t.equal(await outcomeOf(volumes.mount('db', { directory, mkfs: 'xfs' }, caller)), 'WRONG_STATE');
  t.equal(statSync(directory).isDirectory(), true);
});

t.test('a directory takes one disk', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes } = state.disks;
  const directory = directoryIn(state, 'mnt');
  await state.keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'one', sizeBytes: 64 * mib, key: 'app' }, caller);
  await volumes.create({ name: 'two', sizeBytes: 64 * mib }, caller);
  const mount = (name: string): Promise<string> =>
    outcomeOf(volumes.mount(name, { directory, mkfs: 'ext4' }, caller));
  t.same((await Promise.all([mount('one'), mount('two')])).sort(), ['WRONG_STATE', 'done']);
  const holder = (await volumes.list()).find((disk) => disk.attachment !== undefined);
  await volumes.unmount(holder?.record.name ?? '', caller);
  if (holder?.record.name === 'two') await mount('one');
  else await volumes.mount('one', { directory }, caller);
  await state.keys.disableKey('app', caller);
  t.equal(await mount('two'), 'WRONG_STATE', 'one is still there');
  t.match((await state.keys.enableKey('app', caller)).disks, [{ outcome: 'reopened' }]);
});
