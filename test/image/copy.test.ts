/**
 * The copy of an image under another key reads as the image, and needs nothing of it: neither its
 * key nor its layers. It is whole, or not there at all.
 */
import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import { addon } from '../../dist/device/index.js';
import type { LongCall } from '../../dist/volume/volumes.js';
import { raw } from '../support/export-targets.js';
import {
  caller,
  containerBytes,
  fingerprint,
  mib,
  newState,
  outcomeOf,
  type State,
} from '../support/state.js';

async function stateWithKeys(t: Test): Promise<State> {
  const state = await newState(t);
  for (const alias of ['old', 'new']) await state.keys.createKey({ alias }, caller);
  return state;
}

/** An image of 256 MiB in three layers, each with data of its own; answers what it reads as. */
async function layeredImage({ disks: { volumes, snapshots, images } }: State): Promise<Buffer> {
  const content = Buffer.alloc(256 * mib);
  await volumes.create({ name: 'db', sizeBytes: content.length, key: 'old' }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  for (const [number, offset] of [3 * mib, 4 * mib + 4096, content.length - mib].entries()) {
    if (number > 0) await snapshots.create(`db@s${String(number)}`, caller);
    const data = randomBytes(mib);
    await file.write(data, 0, mib, offset);
    data.copy(content, offset);
  }
  const zeros = Buffer.alloc(mib / 2);
  await file.write(zeros, 0, zeros.length, 3 * mib);
  zeros.copy(content, 3 * mib);
  await file.close();
  await volumes.detach('db', {}, caller);
  await images.create({ name: 'golden', volume: 'db' }, caller);
  return content;
}

async function read(state: State, image: string): Promise<Buffer> {
  const file = join(state.runtimeDir, `${image}.raw`);
  await state.disks.images.export(image, raw(file), caller);
  return readFileSync(file);
}

t.test('it reads the same, and stands alone', { timeout: 120_000 }, async (t) => {
  const state = await stateWithKeys(t);
  const { keys } = state;
  const { volumes, snapshots, images } = state.disks;
  const content = await layeredImage(state);
  // It may be in use.
  await images.attach('golden', {}, caller);
  const before = containerBytes(state);
  const { disk } = await images.copy('golden', { name: 'other', key: 'new' }, caller);
  t.equal(disk.record.keyId, keys.findKey('new').id);
  t.equal(disk.record.source, 'image:golden');
  t.equal(disk.layerCount, 1);
  t.equal(disk.sharedBytes, 0);
  t.ok(containerBytes(state) - before < 4 * mib, 'holes and zeros are holes');

  await images.detach('golden', {}, caller);
  await images.delete('golden', caller);
  for (const snapshot of ['db@s1', 'db@s2']) await snapshots.delete(snapshot, caller);
  await volumes.delete('db', caller);
  await keys.scheduleDeletion('old', 7, caller);
  t.ok((await read(state, 'other')).equals(content), 'without all that it came from');
  const web = await volumes.create({ name: 'web', image: 'other' }, caller);
  t.equal(web.disk.record.keyId, keys.findKey('new').id, 'whose key its volumes have');
  await keys.disableKey('new', caller);
  t.equal(await outcomeOf(images.attach('other', {}, caller)), 'KEY_DISABLED');
});

t.test('it has a data key of its own', async (t) => {
  const state = await stateWithKeys(t);
  const { images } = state.disks;
  const file = join(state.runtimeDir, 'raw');
  writeFileSync(file, randomBytes(mib));
  await images.create({ name: 'one', file, key: 'old' }, caller);
  await images.copy('one', { name: 'two', key: 'new' }, caller);
  await images.copy('two', { name: 'three', key: 'old' }, caller);
  const layers = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => {
      const { record } = await images.show(name);
      const layer = join(state.stateDir, 'layers', `${record.topLayerId}.luks`);
      return readFileSync(layer).subarray(mib).toString('latin1');
    }),
  );
  const sectors = layers.flatMap((data) =>
    Array.from({ length: mib / 4096 }, (_, i) => data.slice(i * 4096, i * 4096 + 16)),
  );
  t.equal(new Set(sectors).size, sectors.length, 'nothing is encrypted alike');
});

t.test('what is refused changes nothing', async (t) => {
  const state = await stateWithKeys(t);
  const { keys } = state;
  const { images } = state.disks;
  const file = join(state.runtimeDir, 'raw');
  writeFileSync(file, randomBytes(mib));
  await images.create({ name: 'golden', file, key: 'old' }, caller);
  const before = fingerprint(state);
  const refused = async (code: string, name: string, key: string, image = 'golden') => {
    t.equal(await outcomeOf(images.copy(image, { name, key }, caller)), code);
    t.equal(fingerprint(state), before, code);
  };
  await refused('SAME_KEY', 'other', 'old');
  await refused('SAME_KEY', 'other', keys.findKey('old').id);
  await refused('KEY_NOT_FOUND', 'other', 'none');
  await refused('IMAGE_EXISTS', 'golden', 'new');
  await refused('INVALID_NAME', 'a/b', 'new');
  await refused('IMAGE_NOT_FOUND', 'other', 'new', 'gold');
  for (const key of ['old', 'new']) {
    await keys.disableKey(key, caller);
    await refused('KEY_DISABLED', 'other', 'new');
    await keys.enableKey(key, caller);
  }
  const same = images.copy('golden', { name: 'other', key: 'old' }, caller);
  await t.rejects(same, { message: 'image golden is encrypted under key old already' });
});

t.test('what ends before its time leaves nothing', { timeout: 60_000 }, async (t) => {
  const state = await stateWithKeys(t);
  const { keys } = state;
  const { images } = state.disks;
  const file = join(state.runtimeDir, 'raw');
  writeFileSync(file, randomBytes(48 * mib));
  truncateSync(file, 64 * mib);
  await images.create({ name: 'golden', file, key: 'old' }, caller);
  const before = fingerprint(state);
  const outcome = (call: LongCall): Promise<string> =>
    outcomeOf(images.copy('golden', { name: 'other', key: 'new' }, caller, call));

  const abort = new AbortController();
  const stopping = { signal: abort.signal, onProgress: () => abort.abort() };
  t.equal(await outcome(stopping), 'INTERRUPTED');
  t.equal(fingerprint(state), before, 'stopped');

  for (const key of ['old', 'new']) {
    let lostMs = 0;
    let disabled: ReturnType<typeof keys.disableKey> | undefined;
    const onProgress = (): void => {
      lostMs ||= performance.now();
      disabled ??= keys.disableKey(key, caller);
    };
    t.equal(await outcome({ onProgress }), 'KEY_DISABLED', `key ${key} is lost on the way`);
    t.ok(performance.now() - lostMs < 1000, 'within a second');
    const disks = (await disabled)?.disks;
    t.match(disks, [{ disk: 'copy of image golden to other', kind: 'operation' }]);
    t.equal(fingerprint(state), before, `key ${key}: nothing is left`);
    await keys.enableKey(key, caller);
  }

  t.teardown(() => addon.clearBlockFaults());
  for (const key of ['old', 'new']) {
    // The last flush takes long, and its key is lost meanwhile.
    addon.injectBlockFault('sync', { afterCalls: 1, errno: 0, delayMs: 500 });
    const lost = outcome({
      onProgress: ({ doneBytes, totalBytes }) => {
        if (doneBytes === totalBytes) setTimeout(() => void keys.disableKey(key, caller), 100);
      },
    });
    t.equal(await lost, 'KEY_DISABLED', `key ${key} is lost at the end`);
    t.equal(fingerprint(state), before, `key ${key}: nothing is left`);
    addon.clearBlockFaults();
    await keys.enableKey(key, caller);
  }
  t.equal(await outcome({}), 'done', 'and then it can be');
});

t.test('it is on record under both keys', async (t) => {
  const state = await stateWithKeys(t);
  const { images } = state.disks;
  const file = join(state.runtimeDir, 'raw');
  writeFileSync(file, randomBytes(mib));
  await images.create({ name: 'golden', file, key: 'old' }, caller);
  const [last] = listAudit(state.audit, { limit: 1 });
  await images.copy('golden', { name: 'other', key: 'new' }, caller);
  const records = listAudit(state.audit, { sinceSequence: last?.sequence ?? 0 });
  t.match(records, [
    { action: 'decryptDatakey', resource: /^old \(/, result: 'allowed' },
    { action: 'createDataKey', resource: /^new \(/, result: 'allowed' },
    {
      action: 'copyImage',
      resource: 'image golden',
      result: 'allowed',
      detail: 'to image other under key new',
    },
  ]);
});
