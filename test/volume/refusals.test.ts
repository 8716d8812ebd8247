// Creation is all or nothing: whatever is refused leaves the containers and the records as they were.
import t from 'tap';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../dist/fault.js';
import { caller, fingerprint, newState, outcomeOf } from '../support/state.js';

t.test('what is refused changes nothing', { timeout: 120_000 }, async (t) => {
  const state = await newState(t);
  const { disks, keys } = state;
  const { volumes, images, snapshots } = disks;
  await keys.createKey({ alias: 'off' }, caller);
  await keys.createKey({ alias: 'on' }, caller);
  await keys.createKey({ alias: 'dying' }, caller);
  const sizeBytes = 65536;
  await volumes.create({ name: 'taken', sizeBytes, key: 'on' }, caller);
  await volumes.create({ name: 'locked', sizeBytes, key: 'off' }, caller);
  await snapshots.create('taken@one', caller);
  await snapshots.create('locked@one', caller);
  await images.create({ name: 'base', volume: 'taken' }, caller);
  await images.create({ name: 'shut', volume: 'locked' }, caller);
  await keys.disableKey('off', caller);
  await keys.scheduleDeletion('dying', 7, caller);
  const file = join(state.runtimeDir, 'raw');
  const empty = join(state.runtimeDir, 'empty');
  const directory = join(state.runtimeDir, 'directory');
  writeFileSync(file, Buffer.alloc(8192, 'x'));
  writeFileSync(empty, '');
  mkdirSync(directory);
  const uuid = '6f9619ff-8b86-4d01-b42d-00c04fc964ff';
  const before = fingerprint(state);

  const create = (volume: object): Promise<unknown> =>
    volumes.create({ name: 'new', sizeBytes, ...volume }, caller);
  const image = (more: object): Promise<unknown> => images.create({ name: 'new', ...more }, caller);
  const cases: readonly [string, string, () => Promise<unknown>][] = [
    ['no name', 'INVALID_NAME', () => create({ name: '' })],
    ['a name with a slash', 'INVALID_NAME', () => create({ name: 'a/b' })],
    ['a name that begins with a dot', 'INVALID_NAME', () => create({ name: '.a' })],
    ['a name of 65 characters', 'INVALID_NAME', () => create({ name: 'a'.repeat(65) })],
    ['a name like an id', 'INVALID_NAME', () => create({ name: uuid })],
    ['a taken name', 'VOLUME_EXISTS', () => create({ name: 'taken' })],
    ['size 0', 'INVALID_SIZE', () => create({ sizeBytes: 0 })],
    ['a negative size', 'INVALID_SIZE', () => create({ sizeBytes: -4096 })],
    ['4095 bytes', 'INVALID_SIZE', () => create({ sizeBytes: 4095 })],
    ['4097 bytes', 'INVALID_SIZE', () => create({ sizeBytes: 4097 })],
    ['a size no file can have', 'INVALID_SIZE', () => create({ sizeBytes: 2 ** 53 - 4096 })],
    [
      'more than is free, preallocated',
      'NO_SPACE',
      () => create({ sizeBytes: 2 ** 50, preallocate: true }),
    ],
    ['no size', 'INVALID_ARGUMENT', () => volumes.create({ name: 'new' }, caller)],
    ['a missing key', 'KEY_NOT_FOUND', () => create({ key: 'nobody' })],
    ['a disabled key', 'KEY_DISABLED', () => create({ key: 'off' })],
    ['a key pending deletion', 'KEY_PENDING_DELETION', () => create({ key: 'dying' })],
    ['two sources', 'INVALID_ARGUMENT', () => create({ image: 'base', file })],
    ['a missing image', 'IMAGE_NOT_FOUND', () => create({ image: 'bass' })],
    ['a missing snapshot', 'SNAPSHOT_NOT_FOUND', () => create({ snapshot: 'taken@two' })],
    ['a snapshot of a missing volume', 'VOLUME_NOT_FOUND', () => create({ snapshot: 'no@one' })],
    ['a key with an image', 'KEY_NOT_CHOOSABLE', () => create({ image: 'base', key: 'on' })],
    [
      'a key with a snapshot',
      'KEY_NOT_CHOOSABLE',
      () => create({ snapshot: 'taken@one', key: 'on' }),
    ],
    ['smaller than the image', 'INVALID_SIZE', () => create({ image: 'base', sizeBytes: 4096 })],
    ['an image of a disabled key', 'KEY_DISABLED', () => create({ image: 'shut' })],
    ['a snapshot of a disabled key', 'KEY_DISABLED', () => create({ snapshot: 'locked@one' })],
    ['a missing file', 'FILE_NOT_FOUND', () => create({ file: `${file}-not` })],
    ['a directory as file', 'INVALID_ARGUMENT', () => create({ file: directory })],
    ['an empty file', 'INVALID_SIZE', () => volumes.create({ name: 'new', file: empty }, caller)],
    ['smaller than the file', 'INVALID_SIZE', () => create({ file, sizeBytes: 4096 })],
    ['a file under a disabled key', 'KEY_DISABLED', () => create({ file, key: 'off' })],
    ['a clone with a taken name', 'VOLUME_EXISTS', () => volumes.clone('taken', 'taken', caller)],
    ['a clone under a disabled key', 'KEY_DISABLED', () => volumes.clone('locked', 'new', caller)],
    ['a clone of nothing', 'VOLUME_NOT_FOUND', () => volumes.clone('takem', 'new', caller)],
    ['an image of nothing', 'INVALID_ARGUMENT', () => image({})],
    ['an image of two things', 'INVALID_ARGUMENT', () => image({ volume: 'taken', file })],
    ['an image with a taken name', 'IMAGE_EXISTS', () => image({ name: 'base', volume: 'taken' })],
    ['an image with a key', 'KEY_NOT_CHOOSABLE', () => image({ volume: 'taken', key: 'on' })],
    ['an image under a disabled key', 'KEY_DISABLED', () => image({ volume: 'locked' })],
    ['an image of such a snapshot', 'KEY_DISABLED', () => image({ snapshot: 'locked@one' })],
    [
      'a snapshot with a taken name',
      'SNAPSHOT_EXISTS',
      () => snapshots.create('taken@one', caller),
    ],
    ['a snapshot without a volume', 'INVALID_NAME', () => snapshots.create('taken', caller)],
    [
      'a snapshot under a disabled key',
      'KEY_DISABLED',
      () => snapshots.create('locked@two', caller),
    ],
    [
      'a rollback under a disabled key',
      'KEY_DISABLED',
      () => snapshots.rollback('locked@one', caller),
    ],
    ['attach under a disabled key', 'KEY_DISABLED', () => volumes.attach('locked', {}, caller)],
    ['detach of what is not attached', 'WRONG_STATE', () => volumes.detach('taken', {}, caller)],
    ['unmount of what is not mounted', 'WRONG_STATE', () => volumes.unmount('taken', caller)],
    ['a rename to a taken name', 'VOLUME_EXISTS', () => volumes.rename('taken', 'locked', caller)],
    ['a rename to a bad name', 'INVALID_NAME', () => volumes.rename('taken', '@', caller)],
    ['delete with snapshots', 'WRONG_STATE', () => volumes.delete('taken', caller)],
    [
      'key export of a stack',
      'UNSUPPORTED',
      () => volumes.exportKey('taken', `${file}.key`, caller),
    ],
  ];
  for (const [what, code, work] of cases) {
    t.equal(await outcomeOf(work()), code, what);
    t.equal(fingerprint(state), before, `${what}: nothing has changed`);
  }
  const hint = await volumes
    .show('takem')
    .catch((error: unknown) => (error instanceof Fault ? error.hint : undefined));
  t.equal(hint, 'did you mean taken?');
});
