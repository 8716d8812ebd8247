/**
 * A volume becomes larger, in use or not: what it held stays, what is new is zeros and can be
 * written; snapshots of before keep their size, and its master key stays.
 */
import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { FileCache } from '../../dist/disk/records.js';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';
import { isRoot } from '../support/temp.js';

const skip = isRoot ? false : 'needs the disks of root';

async function stateWithVolume(t: Test, sizeBytes: number): Promise<State> {
  const state = await newState(t);
  await state.keys.createKey({ alias: 'app' }, caller);
  await state.disks.volumes.create({ name: 'db', sizeBytes, key: 'app' }, caller);
  return state;
}

async function attach({ disks }: State, cache: FileCache = 'direct'): Promise<string> {
  return (await disks.volumes.attach('db', { cache }, caller)).attachment?.path ?? '';
}

async function seenIn(file: FileHandle, lengthBytes: number): Promise<Buffer> {
  const seen = Buffer.alloc(lengthBytes, 0xa5);
  const { bytesRead } = await file.read(seen, 0, lengthBytes, 0);
  return seen.subarray(0, bytesRead);
}

const sizes = [mib + 4096, 2 * mib, 300 * mib, 2 ** 40];

for (const cache of ['direct', 'kernel'] as const) {
  t.test(`a program that has it open goes on with more, cache ${cache}`, { skip }, async (t) => {
    const state = await stateWithVolume(t, mib);
    const path = await attach(state, cache);
    const file = await open(path, 'r+');
    const content = randomBytes(mib);
    await file.write(content, 0, mib, 0);
    for (const sizeBytes of sizes) {
      const { record } = await state.disks.volumes.resize('db', { sizeBytes }, caller);
      t.match([record.sizeBytes, record.state], [sizeBytes, 'in-use']);
      t.equal(statSync(path).size, sizeBytes, 'seen at once');
      t.equal((await file.stat()).size, sizeBytes);
      const beyond = await seenIn(file, mib + 4096);
      t.ok(beyond.equals(Buffer.concat([content, Buffer.alloc(4096)])), 'zeros after what it held');
      const end = randomBytes(4096);
      await file.write(end, 0, 4096, sizeBytes - 4096);
      await file.sync();
      const seen = Buffer.alloc(8192);
      t.equal((await file.read(seen, 0, 8192, sizeBytes - 4096)).bytesRead, 4096);
      t.ok(seen.subarray(0, 4096).equals(end), 'to be written up to its new end');
      await file.write(Buffer.alloc(4096), 0, 4096, sizeBytes - 4096);
    }
    await file.close();
    await state.disks.volumes.detach('db', {}, caller);
    t.equal(statSync(await attach(state)).size, 2 ** 40, 'and so it stays');
  });
}

t.test('detached, and what was before can be had back', { skip, timeout: 60_000 }, async (t) => {
  const state = await stateWithVolume(t, mib);
  const { volumes, snapshots, images } = state.disks;
  const { keyId } = (await volumes.show('db')).record;
  const content = randomBytes(mib);
  let file = await open(await attach(state), 'r+');
  await file.write(content, 0, mib, 0);
  await file.close();
  await volumes.detach('db', {}, caller);
  await snapshots.create('db@before', caller);
  for (const sizeBytes of sizes) {
    const { record } = await volumes.resize('db', { sizeBytes }, caller);
    t.match([record.sizeBytes, record.state, record.keyId], [sizeBytes, 'available', keyId]);
    const path = await attach(state);
    t.equal(statSync(path).size, sizeBytes);
    file = await open(path, 'r+');
    const seen = await seenIn(file, mib + 4096);
    t.ok(seen.equals(Buffer.concat([content, Buffer.alloc(4096)])));
    await file.close();
    await volumes.detach('db', {}, caller);
  }
  const keys = state.store.all<{ keyId: string }>('SELECT DISTINCT key_id AS keyId FROM layers');
  t.same(keys, [{ keyId }], 'every layer has the same master key');
  await images.create({ name: 'golden', snapshot: 'db@before' }, caller);
  t.equal((await images.show('golden')).record.sizeBytes, mib);
  await snapshots.rollback('db@before', caller);
  t.ok(readFileSync(await attach(state)).equals(content));
});

t.test(
  'nothing is lost of what a program writes meanwhile',
  { skip, timeout: 60_000 },
  async (t) => {
    const state = await stateWithVolume(t, 4 * mib);
    const { volumes } = state.disks;
    const path = await attach(state);
    const file = await open(path, 'r+');
    const wanted = Buffer.alloc(4 * mib);
    const end = new AbortController();
    let writes = 0;
    const writer = (async (): Promise<void> => {
      for (; !end.signal.aborted; writes += 1) {
        const offsetBytes = (writes % 1024) * 4096;
        const bytes = randomBytes(4096);
        await file.write(bytes, 0, 4096, offsetBytes);
        bytes.copy(wanted, offsetBytes);
      }
    })();
    for (let round = 1; round <= 20; round += 1) {
      await volumes.resize('db', { sizeBytes: (4 + round) * mib }, caller);
    }
    end.abort();
    await writer;
    await file.close();
    t.ok(writes > 20, `${String(writes)} writes`);
    const seen = readFileSync(path);
    t.equal(seen.length, 24 * mib);
    t.ok(seen.subarray(0, 4 * mib).equals(wanted));
    t.ok(seen.subarray(4 * mib).equals(Buffer.alloc(20 * mib)));
  },
);

t.test('its state says so meanwhile', { skip }, async (t) => {
  const state = await stateWithVolume(t, mib);
  const { volumes } = state.disks;
  for (const after of ['available', 'in-use']) {
    if (after === 'in-use') await attach(state);
    const sizeBytes = (await volumes.show('db')).record.sizeBytes * 2;
    const resized = volumes.resize('db', { sizeBytes }, caller).then(() => true);
    const states = new Set<string>();
    const look = async (): Promise<boolean> => {
      states.add((await volumes.show('db')).record.state);
      return new Promise((resolve) => setTimeout(() => resolve(false), 1));
    };
    while (!(await Promise.race([resized, look()])));
    t.ok(states.has('extending'), [...states].join(', '));
    t.equal((await volumes.show('db')).record.state, after);
  }
});

t.test('the size that it has changes nothing', { skip }, async (t) => {
  const state = await stateWithVolume(t, mib);
  const before = fingerprint(state);
  await state.disks.volumes.resize('db', { sizeBytes: mib }, caller);
  await state.disks.volumes.resize('db', { sizeBytes: mib, shrink: true }, caller);
  t.equal(fingerprint(state), before);
});

t.test('what cannot be changes nothing', { skip, timeout: 60_000 }, async (t) => {
  const state = await stateWithVolume(t, 2 * mib);
  const { volumes } = state.disks;
  const refused = async (code: string, sizeBytes: number, more: object = {}): Promise<void> => {
    const before = fingerprint(state);
    const work = volumes.resize('db', { sizeBytes, ...more }, caller);
    t.equal(await outcomeOf(work), code, `${String(sizeBytes)} bytes, ${JSON.stringify(more)}`);
    t.equal(fingerprint(state), before, 'nothing has changed');
  };
  for (const sizeBytes of [0, -4096, 0.5, 2 * mib + 1, 2 ** 53, Number.NaN]) {
    await refused('INVALID_SIZE', sizeBytes);
  }
  // Counts exactly, but is more than a file can have.
  await refused('INVALID_SIZE', 2 ** 53 - 4096);
  await refused('INVALID_SIZE', 4 * mib, { shrink: true, confirm: 'db' });
  await refused('WRONG_STATE', 4 * mib, { growFilesystem: true });
  await volumes.attach('db', { readOnly: true }, caller);
  await refused('WRONG_STATE', 4 * mib);
  await volumes.detach('db', {}, caller);
  await state.keys.disableKey('app', caller);
  await refused('KEY_DISABLED', 4 * mib);
  await refused('KEY_DISABLED', 2 * mib);
  await state.keys.scheduleDeletion('app', 7, caller);
  await refused('KEY_PENDING_DELETION', 4 * mib);
  const unknown = volumes.resize('dv', { sizeBytes: 4 * mib }, caller);
  t.equal(await outcomeOf(unknown), 'VOLUME_NOT_FOUND');
});

t.test(
  'a key that is lost meanwhile leaves the old size or the new',
  { skip, timeout: 60_000 },
  async (t) => {
    const state = await stateWithVolume(t, mib);
    const { volumes } = state.disks;
    const path = await attach(state);
    const outcomes = new Set<string>();
    for (let race = 1; race <= 20; race += 1) {
      const sizeBytes = (1 + race) * mib;
      const before = (await volumes.show('db')).record.sizeBytes;
      const after = (milliseconds: number): Promise<void> =>
        new Promise((resolve) => setTimeout(resolve, milliseconds));
      const resized = after(20).then(() => outcomeOf(volumes.resize('db', { sizeBytes }, caller)));
      await after(race * 2).then(() => state.keys.disableKey('app', caller));
      t.not((await volumes.show('db')).attachment?.gate, 'open');
      const outcome = await resized;
      outcomes.add(outcome);
      await state.keys.enableKey('app', caller);
      const { record, attachment } = await volumes.show('db');
      t.equal(record.sizeBytes, outcome === 'done' ? sizeBytes : before, outcome);
      t.equal(attachment?.gate, 'open');
      t.equal(statSync(path).size, record.sizeBytes);
    }
    t.strictSame([...outcomes].sort(), ['KEY_DISABLED', 'done']);
  },
);
