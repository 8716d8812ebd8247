// A flat LUKS2 file is what stock cryptsetup takes for its own, from the header to the last sector,
// or is not made at all.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon, type FlatLuks2Options } from '../../dist/device/index.js';
import { cryptsetup, cryptsetupStatus, dataOffsetBytes } from '../support/containers.js';
import { encrypted } from '../support/encrypted.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 1048576 + 4096;
const passphrase = addon.secretFromTestKey(Buffer.from('correct horse'));

/** cryptsetup decrypts it where it lies, by the passphrase as it is typed. */
function decryptInPlace(path: string): void {
  const decrypt = ['reencrypt', '--decrypt', '--force-offline-reencrypt'];
  cryptsetup([...decrypt, '--header', `${path}.header`, path], 'correct horse\n');
}

for (const pbkdf of ['pbkdf2', 'argon2id'] as const) {
  t.test(`cryptsetup takes a file with ${pbkdf}`, { timeout: 120_000 }, async (t) => {
    const directory = tempDirectory(t);
    const path = join(directory, 'file');
    const dataKey = addon.generateDataKey();
    await addon.createFlatLuks2({ path, sizeBytes, pbkdf }, dataKey, passphrase);
    t.equal(statSync(path).size, dataOffsetBytes + sizeBytes);
    t.equal(statSync(path).mode & 0o777, 0o600);
    const dump = cryptsetup(['luksDump', path]);
    t.match(dump, new RegExp(`PBKDF: +${pbkdf}\n`));
    t.match(dump, /cipher: aes-xts-plain64\n\tsector: 4096 \[bytes\]/);
    t.match(dump, /\nTokens:\nDigests:\n/, 'no token');

    const wrong = join(directory, 'wrong');
    writeFileSync(wrong, 'correct horse\n');
    t.equal(cryptsetupStatus(['open', '--test-passphrase', '--key-file', wrong, path]), 2);
    const plain = Buffer.alloc(sizeBytes, 'plain');
    const header = readFileSync(path).subarray(0, dataOffsetBytes);
    writeFileSync(path, Buffer.concat([header, encrypted(dataKey, plain)]));
    decryptInPlace(path);
    t.ok(readFileSync(path).subarray(0, sizeBytes).equals(plain));
  });
}

t.test('what cannot be made leaves nothing', async (t) => {
  const directory = tempDirectory(t);
  const path = join(directory, 'file');
  const dataKey = addon.generateDataKey();
  const options: FlatLuks2Options = { path, sizeBytes, pbkdf: 'pbkdf2' };
  const invalid = { code: 'INVALID_ARGUMENT' };
  for (const wrong of [{ sizeBytes: 0 }, { sizeBytes: 4097 }, { pbkdf: 'md5' }, { path: '' }]) {
    // Every value is one that TypeScript would refuse, or a wrong size.
    const other = { ...options, ...wrong } as FlatLuks2Options;
    t.throws(() => addon.createFlatLuks2(other, dataKey, passphrase), invalid);
  }
  const shortKey = addon.randomSecret(32);
  await t.rejects(addon.createFlatLuks2(options, shortKey, passphrase), invalid);
  const equalHalves = addon.secretFromTestKey(Buffer.alloc(64, 1));
  await t.rejects(addon.createFlatLuks2(options, equalHalves, passphrase), invalid);
  for (const secret of ['\n', 'a\x1b', '\x7f', 'a\0']) {
    const untypable = addon.secretFromTestKey(Buffer.from(secret));
    await t.rejects(addon.createFlatLuks2(options, dataKey, untypable), invalid);
  }
  t.same(readdirSync(directory), []);
  writeFileSync(path, 'mine');
  await t.rejects(addon.createFlatLuks2(options, dataKey, passphrase), { code: 'FILE_EXISTS' });
  t.equal(readFileSync(path, 'utf8'), 'mine');
  rmSync(path);
  const tooLarge = { ...options, sizeBytes: 2 ** 53 - 4096 };
  await t.rejects(addon.createFlatLuks2(tooLarge, dataKey, passphrase), { code: 'NO_SPACE' });
  t.notOk(existsSync(path));
});
