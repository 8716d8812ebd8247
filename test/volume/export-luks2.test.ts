/**
 * An exported LUKS2 file needs nothing of ours: stock cryptsetup and GRUB open it with the
 * passphrase, and find what the disk reads as.
 */
import t, { type Test } from 'tap';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import { cryptsetup, cryptsetupStatus, dataOffsetBytes } from '../support/containers.js';
import { luks2, passphrase } from '../support/export-targets.js';
import { caller, mib, newState, type State } from '../support/state.js';

async function stateWithVolume(t: Test, name: string, sizeBytes: number): Promise<State> {
  const state = await newState(t);
  await state.keys.createKey({ alias: 'app' }, caller);
  await state.disks.volumes.create({ name, sizeBytes, key: 'app' }, caller);
  return state;
}

async function write(
  { disks: { volumes } }: State,
  content: Buffer,
  offsetBytes: number,
  bytes: Buffer,
): Promise<void> {
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  await file.write(bytes, 0, bytes.length, offsetBytes);
  bytes.copy(content, offsetBytes);
  await file.close();
  await volumes.detach('db', {}, caller);
}

/** By the passphrase as a person types it; what cryptsetup makes of a copy of the file. */
function decrypted(directory: string, file: string): Buffer {
  const [copy, header] = [join(directory, 'copy'), join(directory, 'header')];
  copyFileSync(file, copy);
  const decrypt = ['reencrypt', '--decrypt', '--force-offline-reencrypt', '--header', header];
  cryptsetup([...decrypt, copy], `${passphrase}\n`);
  const plain = readFileSync(copy);
  rmSync(copy);
  rmSync(header);
  return plain.subarray(0, plain.length - dataOffsetBytes);
}

/** Without a terminal it reads the passphrase from stdin. It never says by its status what failed. */
function grub(file: string, ...command: string[]): void {
  const args = ['-w', 'grub-fstest', '-C', file, ...command];
  execFileSync('setsid', args, { input: `${passphrase}\n`, stdio: ['pipe', 'ignore', 'ignore'] });
}

t.test('cryptsetup and GRUB read the whole disk', { timeout: 120_000 }, async (t) => {
  const sizeBytes = 12 * mib + 4096;
  const state = await stateWithVolume(t, 'db', sizeBytes);
  const { volumes, snapshots, images } = state.disks;
  const content = Buffer.alloc(sizeBytes);
  await write(state, content, 3 * mib, randomBytes(2 * mib));
  await snapshots.create('db@monday', caller);
  const monday = Buffer.from(content);
  await write(state, content, sizeBytes - 4096, randomBytes(4096));
  await images.create({ name: 'golden', volume: 'db' }, caller);
  await write(state, content, 4 * mib, Buffer.alloc(mib));

  const target = await luks2(t);
  const out = (name: string): string => join(state.runtimeDir, name);
  const reply = await volumes.export('db', target(out('db')), caller);
  t.same(reply, { file: out('db'), sizeBytes, dataBytes: sizeBytes });
  const { mode, size } = statSync(out('db'));
  t.equal(mode & 0o777, 0o600);
  t.equal(size, dataOffsetBytes + sizeBytes);
  const { pbkdf, ...snapshot } = target(out('monday'));
  t.equal(pbkdf, 'pbkdf2');
  await volumes.export('db@monday', { ...snapshot, pbkdf: 'argon2id' }, caller);
  await images.export('golden', target(out('golden')), caller);

  const test = ['open', '--test-passphrase', '--key-file'];
  for (const [secret, status] of [
    [passphrase, 0],
    ['wrong', 2],
  ] as const) {
    writeFileSync(out('key'), secret);
    t.equal(cryptsetupStatus([...test, out('key'), out('db')]), status, secret);
    t.equal(cryptsetupStatus([...test, out('key'), out('monday')]), status, secret);
  }
  t.match(cryptsetup(['luksDump', out('db')]), /PBKDF: +pbkdf2\n.*\n\tIterations: 1000000\n/);
  t.match(cryptsetup(['luksDump', out('monday')]), /PBKDF: +argon2id\n/);
  t.ok(decrypted(state.runtimeDir, out('db')).equals(content), 'a volume');
  t.ok(decrypted(state.runtimeDir, out('monday')).equals(monday), 'a snapshot');

  const sectors = String(sizeBytes / 512);
  grub(out('db'), 'cp', `(crypto0)0+${sectors}`, out('by-grub'));
  t.ok(readFileSync(out('by-grub')).equals(content), 'GRUB reads the same');
});

t.test('GRUB finds a file on the filesystem of an image', { timeout: 120_000 }, async (t) => {
  const state = await newState(t);
  const { images } = state.disks;
  const root = join(state.runtimeDir, 'root');
  const disk = join(state.runtimeDir, 'disk');
  mkdirSync(root);
  writeFileSync(join(root, 'vmlinuz'), randomBytes(mib));
  execFileSync('mkfs.ext4', ['-q', '-d', root, disk, '8M']);
  await images.create({ name: 'boot', file: disk }, caller);
  const file = join(state.runtimeDir, 'boot.luks');
  await images.export('boot', (await luks2(t))(file), caller);
  const found = join(state.runtimeDir, 'found');
  grub(file, 'cp', '(crypto0)/vmlinuz', found);
  t.ok(readFileSync(found).equals(readFileSync(join(root, 'vmlinuz'))));
});

t.test('each file has a key of its own, and is on record', async (t) => {
  const state = await stateWithVolume(t, 'db', 4 * mib);
  const target = await luks2(t);
  const files = ['one', 'two'].map((name) => join(state.runtimeDir, name));
  for (const file of files) await state.disks.volumes.export('db', target(file), caller);
  const [one, two] = files.map((file) => readFileSync(file).subarray(dataOffsetBytes));
  const sectors = (data = Buffer.alloc(0)): string[] =>
    Array.from({ length: 1024 }, (_, i) => data.toString('latin1', i * 4096, i * 4096 + 16));
  const different = new Set([...sectors(one), ...sectors(two)]);
  t.equal(different.size, 2048, 'zeros are encrypted, nowhere alike');
  const records = listAudit(state.audit).filter(({ action }) => action === 'exportVolume');
  t.match(
    records,
    files.map((file) => ({ result: 'allowed', detail: `luks2 to ${file}` })),
  );
});
