/**
 * An exported file is whole or not there at all: when it cannot be written, is stopped, or its key
 * is lost.
 */
import t, { type Test } from 'tap';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskProgress, LongCall } from '../../dist/volume/volumes.js';
import { luks2, raw, type Target } from '../support/export-targets.js';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';
import { isRoot, smallFilesystem } from '../support/temp.js';

const formats = ['raw', 'luks2'] as const;

async function targetOf(t: Test, format: (typeof formats)[number]): Promise<Target> {
  return format === 'raw' ? raw : await luks2(t);
}

/** A volume `db` of that many MiB, a quarter of them random. */
async function stateWithVolume(t: Test, mebibytes: number): Promise<State> {
  const state = await newState(t);
  const { volumes } = state.disks;
  await state.keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: mebibytes * mib, key: 'app' }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  await file.write(randomBytes((mebibytes * mib) / 4));
  await file.close();
  await volumes.detach('db', {}, caller);
  return state;
}

class Trial {
  readonly directory: string;
  readonly file: string;
  readonly #before: string;

  constructor(
    readonly t: Test,
    readonly state: State,
    readonly target: Target,
  ) {
    this.directory = join(state.runtimeDir, 'out');
    mkdirSync(this.directory);
    this.file = join(this.directory, 'db.out');
    this.#before = fingerprint(state);
  }

  outcome(call: LongCall = {}, target = this.target(this.file)): Promise<string> {
    return outcomeOf(this.state.disks.volumes.export('db', target, caller, call));
  }

  leavesNothing(what: string): void {
    this.t.same(readdirSync(this.directory), [], what);
    this.t.equal(fingerprint(this.state), this.#before, `${what}: nothing has changed`);
  }
}

for (const format of formats) {
  t.test(`a refused export as ${format} leaves nothing`, { timeout: 60_000 }, async (t) => {
    const state = await stateWithVolume(t, 4);
    const { keys } = state;
    const { volumes } = state.disks;
    const target = await targetOf(t, format);
    const trial = new Trial(t, state, target);
    const elsewhere = target(join(state.runtimeDir, 'none', 'db.out'));
    t.equal(await trial.outcome({}, elsewhere), 'FILE_NOT_FOUND', 'no directory');
    t.equal(await trial.outcome({}, target('db.out')), 'INVALID_ARGUMENT', 'relative');
    const other = volumes.export('dv', target(trial.file), caller);
    t.equal(await outcomeOf(other), 'VOLUME_NOT_FOUND');
    await keys.disableKey('app', caller);
    t.equal(await trial.outcome(), 'KEY_DISABLED');
    await keys.enableKey('app', caller);
    trial.leavesNothing('refused');
    await volumes.attach('db', {}, caller);
    t.equal(await trial.outcome(), 'WRONG_STATE', 'attached');
    t.same(readdirSync(trial.directory), []);
  });

  t.test(`one as ${format} that ends before its time`, { timeout: 60_000 }, async (t) => {
    const state = await stateWithVolume(t, 64);
    const trial = new Trial(t, state, await targetOf(t, format));
    const abort = new AbortController();
    const stopping = { signal: abort.signal, onProgress: () => abort.abort() };
    t.equal(await trial.outcome(stopping), 'INTERRUPTED');
    trial.leavesNothing('stopped');

    const lost = await losingItsKey(state, (onProgress) => trial.outcome({ onProgress }));
    t.equal(lost.outcome, 'KEY_DISABLED', 'a key that is lost on the way');
    t.ok(lost.tookMs < 1000, 'within a second');
    trial.leavesNothing('KEY_DISABLED on the way');
    await state.keys.enableKey('app', caller);

    const { file, directory } = trial;
    const taking = { onProgress: () => writeFileSync(file, 'mine') };
    t.equal(await trial.outcome(taking), 'FILE_EXISTS', 'another file of that name meanwhile');
    t.equal(readFileSync(file, 'utf8'), 'mine', 'which stays as it is');
    t.same(readdirSync(directory), ['db.out']);
    rmSync(file);
    t.equal(await trial.outcome(), 'done');
    t.same(readdirSync(directory), ['db.out'], 'and then it can be');
  });
}

t.test('plaintext must be asked for', { timeout: 60_000 }, async (t) => {
  const trial = new Trial(t, await stateWithVolume(t, 4), raw);
  const target = { ...raw(trial.file), plaintext: false };
  t.equal(await trial.outcome({}, target), 'CONFIRMATION_REQUIRED');
  trial.leavesNothing('without --plaintext');
});

const longest = 'x'.repeat(255);

t.test('a LUKS2 file needs a passphrase that can be typed', { timeout: 60_000 }, async (t) => {
  const trial = new Trial(t, await stateWithVolume(t, 4), raw);
  for (const secret of ['', `${longest}x`, 'a\tb', 'a\n', 'a\0', '\x7f']) {
    const target = await luks2(t, secret);
    const outcome = await trial.outcome({}, target(trial.file));
    t.equal(outcome, 'INVALID_ARGUMENT', JSON.stringify(secret.slice(0, 10)));
  }
  const missing = { ...(await luks2(t))(trial.file), passphraseSocket: trial.directory };
  t.equal(await trial.outcome({}, missing), 'INVALID_ARGUMENT', 'no socket');
  const gone = { ...missing, passphraseSocket: `${trial.directory}/none` };
  t.equal(await trial.outcome({}, gone), 'FILE_NOT_FOUND', 'no file');
  trial.leavesNothing('without a passphrase');
  for (const secret of [longest, 'ä', ' ']) {
    const target = await luks2(t, secret);
    t.equal(await trial.outcome({}, target(trial.file)), 'done');
    rmSync(trial.file);
  }
});

async function losingItsKey(
  { keys }: State,
  start: (onProgress: (progress: DiskProgress) => void) => Promise<string>,
): Promise<{ outcome: string; tookMs: number }> {
  let lostMs = 0;
  let disabled: Promise<unknown> | undefined;
  const outcome = await start(() => {
    lostMs ||= performance.now();
    disabled ??= keys.disableKey('app', caller);
  });
  const tookMs = performance.now() - lostMs;
  await disabled;
  return { outcome, tookMs };
}

const skip = isRoot ? false : 'needs to mount small filesystems';

t.test('a full or read-only filesystem', { skip, timeout: 60_000 }, async (t) => {
  const { disks } = await stateWithVolume(t, 16);
  const directory = smallFilesystem(t, '2m');
  const file = join(directory, 'db.out');
  const asRaw = disks.volumes.export('db', raw(file), caller);
  await t.rejects(asRaw, { code: 'NO_SPACE', message: `cannot write ${file} (ENOSPC)` });
  const asLuks2 = disks.volumes.export('db', (await luks2(t))(file), caller);
  await t.rejects(asLuks2, { code: 'NO_SPACE', message: /17825792 bytes are needed/ });
  t.same(readdirSync(directory), []);
  execFileSync('mount', ['-o', 'remount,ro', directory]);
  const readOnly = disks.volumes.export('db', raw(file), caller);
  await t.rejects(readOnly, { code: 'PERMISSION_DENIED', message: /EROFS/ });
});
