// What is not a raw disk is refused at once, a pipe too, for which nobody may ever open the other
// end; a source that fails under way, and a host that is full, leave nothing behind.
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { caller, fingerprint, mib, newState, outcomeOf } from '../support/state.js';

t.test('sources that are none', { timeout: 30_000 }, async (t) => {
  const state = await newState(t);
  const { images, volumes } = state.disks;
  const place = (name: string): string => join(state.runtimeDir, name);
  const [pipe, directory] = [place('pipe'), place('directory')];
  execFileSync('mkfifo', [pipe]);
  mkdirSync(directory);
  await volumes.create({ name: 'db', sizeBytes: mib }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const before = fingerprint(state);
  const cases: readonly [string, string, string][] = [
    ['a missing file', 'FILE_NOT_FOUND', place('nothing')],
    ['a pipe', 'INVALID_ARGUMENT', pipe],
    ['a directory', 'INVALID_ARGUMENT', directory],
    ['a character device', 'INVALID_ARGUMENT', '/dev/zero'],
    ['a disk of its own', 'INVALID_ARGUMENT', attachment?.path ?? ''],
  ];
  for (const [what, code, file] of cases) {
    t.equal(await outcomeOf(images.create({ name: 'i', file }, caller)), code, what);
    t.equal(await outcomeOf(volumes.create({ name: 'v', file }, caller)), code, what);
  }
  t.equal(fingerprint(state), before);
});

t.test('a source that ends early, and a host that is full', { timeout: 30_000 }, async (t) => {
  const state = await newState(t);
  const { images } = state.disks;
  const file = join(state.runtimeDir, 'raw');
  const before = fingerprint(state);
  t.teardown(() => addon.clearBlockFaults());

  writeFileSync(file, Buffer.alloc(8 * mib, 'x'));
  const shrinking = images.create({ name: 'i', file }, caller, {
    onProgress: () => truncateSync(file, 0),
  });
  t.equal(await outcomeOf(shrinking), 'IO_ERROR');
  t.equal(fingerprint(state), before);

  writeFileSync(file, Buffer.alloc(8 * mib, 'x'));
  addon.injectBlockFault('write', { errno: 28, afterCalls: 3 });
  t.equal(await outcomeOf(images.create({ name: 'i', file }, caller)), 'NO_SPACE');
  addon.clearBlockFaults();
  t.equal(fingerprint(state), before);

  addon.injectBlockFault('sync', { errno: 5 });
  t.equal(await outcomeOf(images.create({ name: 'i', file }, caller)), 'IO_ERROR');
  addon.clearBlockFaults();
  t.equal(fingerprint(state), before);
  t.equal(await outcomeOf(images.create({ name: 'i', file }, caller)), 'done');
});

t.test('what does not fit is refused before a default key is made', async (t) => {
  const state = await newState(t);
  const create = (more: object): Promise<unknown> =>
    state.disks.volumes.create({ name: 'v', preallocate: true, ...more }, caller);
  t.equal(await outcomeOf(create({ sizeBytes: 2 ** 50 })), 'NO_SPACE');
  const file = join(state.runtimeDir, 'raw');
  writeFileSync(file, 'x');
  truncateSync(file, 2 ** 43);
  t.equal(await outcomeOf(create({ file })), 'NO_SPACE');
  t.same(state.keys.listKeys(), []);
});
