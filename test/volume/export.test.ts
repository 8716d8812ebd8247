/**
 * A raw file of a disk holds what the disk reads as, and holes where that is zeros; it is whole or
 * not there at all: when it cannot be written, is stopped, or its key is lost.
 */
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import type { DiskProgress } from '../../dist/volume/volumes.js';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';
import { isRoot, smallFilesystem } from '../support/temp.js';

const sector = 4096;
const plaintext = true;

/** A volume of that size with `data` at those places; answers what it reads as. */
async function volumeWith(
  state: State,
  name: string,
  sizeBytes: number,
  data: readonly (readonly [offsetBytes: number, bytes: Buffer])[],
): Promise<Buffer> {
  await state.disks.volumes.create({ name, sizeBytes, key: 'app' }, caller);
  const content = Buffer.alloc(sizeBytes);
  await write(state, name, content, data);
  return content;
}

async function write(
  { disks: { volumes } }: State,
  name: string,
  content: Buffer,
  data: readonly (readonly [offsetBytes: number, bytes: Buffer])[],
): Promise<void> {
  const { attachment } = await volumes.attach(name, {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  for (const [offsetBytes, bytes] of data) {
    await file.write(bytes, 0, bytes.length, offsetBytes);
    bytes.copy(content, offsetBytes);
  }
  await file.close();
  await volumes.detach(name, {}, caller);
}

async function stateWithKey(t: Parameters<typeof newState>[0]): Promise<State> {
  const state = await newState(t);
  await state.keys.createKey({ alias: 'app' }, caller);
  return state;
}

t.test('it holds what the disk reads as, at every size', { timeout: 120_000 }, async (t) => {
  const state = await stateWithKey(t);
  const { volumes } = state.disks;
  const sizes = [sector, mib - sector, mib, mib + sector, 5 * mib + 3 * sector];
  for (const [number, sizeBytes] of sizes.entries()) {
    const name = `v${String(number)}`;
    const file = join(state.runtimeDir, name);
    const content = await volumeWith(state, name, sizeBytes, [[0, randomBytes(sizeBytes)]]);
    const reply = await volumes.export(name, { file, plaintext }, caller);
    t.same(reply, { file, sizeBytes, dataBytes: sizeBytes });
    t.ok(readFileSync(file).equals(content), `${String(sizeBytes)} bytes`);
  }
});

t.test('holes and zeros are holes, through all layers', { timeout: 120_000 }, async (t) => {
  const state = await stateWithKey(t);
  const { volumes, snapshots, images } = state.disks;
  const content = await volumeWith(state, 'db', 256 * mib, [
    [3 * mib, randomBytes(2 * mib)],
    [8 * mib, Buffer.alloc(mib)],
    [256 * mib - sector, randomBytes(sector)],
  ]);
  await snapshots.create('db@monday', caller);
  const monday = Buffer.from(content);
  await write(state, 'db', content, [[4 * mib + sector, randomBytes(mib)]]);
  await images.create({ name: 'golden', volume: 'db' }, caller);
  const golden = Buffer.from(content);
  await write(state, 'db', content, [[0, randomBytes(sector)]]);

  const out = (name: string): string => join(state.runtimeDir, name);
  const exported = await volumes.export('db', { file: out('db'), plaintext }, caller);
  t.equal(exported.dataBytes, 2 * mib + 3 * sector, 'its data');
  t.ok(readFileSync(out('db')).equals(content));
  const { mode, blocks, size } = statSync(out('db'));
  t.equal(mode & 0o777, 0o600);
  t.equal(size, 256 * mib);
  t.ok(blocks * 512 < 4 * mib, 'sparse');

  // What nobody changes can be exported while it is in use.
  await volumes.attach('db', {}, caller);
  await images.attach('golden', {}, caller);
  await volumes.export('db@monday', { file: out('monday'), plaintext }, caller);
  t.ok(readFileSync(out('monday')).equals(monday), 'a snapshot');
  await images.export('golden', { file: out('golden'), plaintext }, caller);
  t.ok(readFileSync(out('golden')).equals(golden), 'an image');

  await volumes.create({ name: 'back', file: out('db'), key: 'app' }, caller);
  await volumes.export('back', { file: out('back'), plaintext }, caller);
  t.match(
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', out('db'), out('back')], {
      encoding: 'utf8',
    }),
    /identical/,
    'there and back',
  );
});

t.test('what cannot be exported leaves nothing', { timeout: 120_000 }, async (t) => {
  const state = await stateWithKey(t);
  const { keys } = state;
  const { volumes } = state.disks;
  await volumeWith(state, 'db', 64 * mib, [[0, randomBytes(16 * mib)]]);
  const file = join(state.runtimeDir, 'out', 'db.raw');
  t.equal(await outcomeOf(volumes.export('db', { file, plaintext }, caller)), 'FILE_NOT_FOUND');
  execFileSync('mkdir', [join(state.runtimeDir, 'out')]);
  const before = fingerprint(state);
  const leavesNothing = (what: string): void => {
    t.same(readdirSync(join(state.runtimeDir, 'out')), [], what);
    t.equal(fingerprint(state), before, `${what}: nothing has changed`);
  };
  const refused = async (code: string, target: object = {}): Promise<void> => {
    const work = volumes.export('db', { file, plaintext, ...target }, caller);
    t.equal(await outcomeOf(work), code);
    leavesNothing(code);
  };
  await refused('CONFIRMATION_REQUIRED', { plaintext: false });
  await refused('INVALID_ARGUMENT', { file: 'db.raw' });
  t.equal(await outcomeOf(volumes.export('dv', { file, plaintext }, caller)), 'VOLUME_NOT_FOUND');
  await volumes.attach('db', {}, caller);
  t.equal(await outcomeOf(volumes.export('db', { file, plaintext }, caller)), 'WRONG_STATE');
  t.same(readdirSync(join(state.runtimeDir, 'out')), [], 'attached');
  await volumes.detach('db', {}, caller);
  await keys.disableKey('app', caller);
  await refused('KEY_DISABLED');
  await keys.enableKey('app', caller);

  const abort = new AbortController();
  const stopped = volumes.export('db', { file, plaintext }, caller, {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  t.equal(await outcomeOf(stopped), 'INTERRUPTED');
  leavesNothing('stopped');

  const lost = await losingItsKey(state, (onProgress) =>
    volumes.export('db', { file, plaintext }, caller, { onProgress }),
  );
  t.equal(lost.code, 'KEY_DISABLED', 'a key that is lost on the way');
  t.ok(lost.tookMs < 1000, 'within a second');
  leavesNothing('KEY_DISABLED on the way');
  await keys.enableKey('app', caller);

  const taken = volumes.export('db', { file, plaintext }, caller, {
    onProgress: () => writeFileSync(file, 'mine'),
  });
  t.equal(await outcomeOf(taken), 'FILE_EXISTS', 'another file of that name meanwhile');
  t.equal(readFileSync(file, 'utf8'), 'mine', 'which stays as it is');
  t.same(readdirSync(join(state.runtimeDir, 'out')), ['db.raw']);
  execFileSync('rm', [file]);
  await volumes.export('db', { file, plaintext }, caller);
  t.same(readdirSync(join(state.runtimeDir, 'out')), ['db.raw'], 'and then it can be');
});

async function losingItsKey(
  { keys }: State,
  start: (onProgress: (progress: DiskProgress) => void) => Promise<unknown>,
): Promise<{ code: string; tookMs: number }> {
  let lostMs = 0;
  let disabled: Promise<unknown> | undefined;
  const code = await outcomeOf(
    start(() => {
      lostMs ||= performance.now();
      disabled ??= keys.disableKey('app', caller);
    }),
  );
  const tookMs = performance.now() - lostMs;
  await disabled;
  return { code, tookMs };
}

const skip = isRoot ? false : 'needs to mount small filesystems';

t.test('a full or read-only filesystem', { skip, timeout: 60_000 }, async (t) => {
  const state = await stateWithKey(t);
  const { volumes } = state.disks;
  await volumeWith(state, 'db', 8 * mib, [[0, randomBytes(8 * mib)]]);
  const directory = smallFilesystem(t, '4m');
  const file = join(directory, 'db.raw');
  const full = volumes.export('db', { file, plaintext }, caller);
  await t.rejects(full, { code: 'NO_SPACE', message: `cannot write ${file} (ENOSPC)` });
  t.same(readdirSync(directory), []);
  execFileSync('mount', ['-o', 'remount,ro', directory]);
  const readOnly = volumes.export('db', { file, plaintext }, caller);
  await t.rejects(readOnly, { code: 'PERMISSION_DENIED', message: /EROFS/ });
});

t.test('each is on record before it is made', async (t) => {
  const state = await stateWithKey(t);
  const { volumes, images } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  await images.create({ name: 'golden', volume: 'db' }, caller);
  const file = join(state.runtimeDir, 'raw');
  await volumes.export('db', { file, plaintext }, caller);
  await outcomeOf(images.export('golden', { file, plaintext }, caller));
  const records = listAudit(state.audit).filter(({ action }) => action.startsWith('export'));
  t.match(records, [
    { action: 'exportVolume', result: 'allowed', detail: `plaintext to ${file}` },
    { action: 'exportImage', result: 'refused', detail: 'FILE_EXISTS' },
  ]);
});
