// After export-key stock cryptsetup accepts the key and decrypts the whole disk, holes included.
import t from 'tap';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, statSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

const skip = spawnSync('cryptsetup', ['--version']).status === 0 ? false : 'needs cryptsetup';

t.test('cryptsetup reads what keyvol wrote', { skip, timeout: 90_000 }, async (t) => {
  const state = await newState(t);
  const { volumes } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: 8 * mib }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  const data = randomBytes(mib);
  await file.write(data, 0, mib, 3 * mib);
  await file.close();
  const keyFile = join(state.runtimeDir, 'key');
  t.equal(await outcomeOf(volumes.exportKey('db', keyFile, caller)), 'WRONG_STATE', 'attached');
  await volumes.detach('db', {}, caller);

  const { file: written, container } = await volumes.exportKey('db', keyFile, caller);
  t.equal(written, keyFile);
  t.equal(statSync(keyFile).mode & 0o777, 0o600);
  t.equal(statSync(keyFile).size, 64);
  t.equal(await outcomeOf(volumes.exportKey('db', keyFile, caller)), 'FILE_EXISTS');
  const exports = listAudit(state.audit).filter((entry) => entry.action === 'exportKey');
  t.same(
    exports.map((entry) => entry.result),
    ['refused', 'allowed', 'refused'],
  );

  const copy = join(state.runtimeDir, 'copy');
  copyFileSync(container, copy);
  const passphrase = join(state.runtimeDir, 'passphrase');
  writeFileSync(passphrase, 'correct horse');
  const withKey = ['--volume-key-file', keyFile, '--key-size', '512'];
  execFileSync('cryptsetup', ['open', '--test-passphrase', ...withKey, copy]);
  const wrong = join(state.runtimeDir, 'wrong');
  writeFileSync(wrong, randomBytes(64));
  const refused = [
    'open',
    '--test-passphrase',
    '--volume-key-file',
    wrong,
    '--key-size',
    '512',
    copy,
  ];
  t.not(spawnSync('cryptsetup', refused).status, 0, 'another key is refused');
  const pbkdf = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  execFileSync('cryptsetup', ['luksAddKey', '-q', ...pbkdf, ...withKey, copy, passphrase]);
  const decrypt = ['reencrypt', '--decrypt', '--force-offline-reencrypt', '-q'];
  const header = join(state.runtimeDir, 'header');
  execFileSync('cryptsetup', [...decrypt, '--header', header, '--key-file', passphrase, copy]);
  const plain = await readFile(copy);
  const wanted = Buffer.alloc(8 * mib);
  data.copy(wanted, 3 * mib);
  t.ok(plain.subarray(0, 8 * mib).equals(wanted), 'every byte of the disk is as it was written');
});
