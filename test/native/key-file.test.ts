// A key file that others could have read or written must not become a root key, and a new one must
// never replace an old one.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

t.test('a new key file is private and loads again', (t) => {
  const directory = tempDirectory(t);
  const path = join(directory, 'root.key');
  const old = process.umask(0);
  t.teardown(() => process.umask(old));
  const key = addon.createKeyFile(path);
  t.equal(statSync(path).mode & 0o7777, 0o600);
  addon.exportKeyFile(key, join(directory, 'created'));
  addon.exportKeyFile(addon.loadKeyFile(path), join(directory, 'loaded'));
  t.equal(statSync(path).size, 32);
  t.ok(readFileSync(join(directory, 'created')).equals(readFileSync(path)));
  t.ok(readFileSync(join(directory, 'loaded')).equals(readFileSync(path)));
  t.end();
});

t.test('no two key files are alike', (t) => {
  const directory = tempDirectory(t);
  const names = Array.from({ length: 20 }, (_, i) => join(directory, String(i)));
  for (const path of names) addon.createKeyFile(path).release();
  t.equal(new Set(names.map((path) => readFileSync(path, 'hex'))).size, 20);
  t.end();
});

t.test('nothing that exists is overwritten', (t) => {
  const directory = tempDirectory(t);
  const path = join(directory, 'root.key');
  writeFileSync(path, 'precious');
  symlinkSync(join(directory, 'nowhere'), join(directory, 'link'));
  const key = addon.randomSecret(32);
  for (const name of ['root.key', 'link']) {
    t.throws(() => addon.createKeyFile(join(directory, name)), { code: 'FILE_EXISTS' });
    t.throws(() => addon.exportKeyFile(key, join(directory, name)), { code: 'FILE_EXISTS' });
  }
  t.equal(readFileSync(path, 'utf8'), 'precious');
  t.same(readdirSync(directory).sort(), ['link', 'root.key']);
  t.end();
});

t.test('a key file that others may touch is refused', (t) => {
  const path = join(tempDirectory(t), 'root.key');
  addon.createKeyFile(path).release();
  for (const mode of [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666]) {
    chmodSync(path, mode);
    t.throws(() => addon.loadKeyFile(path), { code: 'KEY_FILE_INVALID' }, mode.toString(8));
  }
  for (const mode of [0o600, 0o400]) {
    chmodSync(path, mode);
    t.equal(addon.loadKeyFile(path).lengthBytes, 32);
  }
  t.end();
});

t.test('a key file of another user is refused', { skip: !isRoot && 'needs root' }, (t) => {
  const path = join(tempDirectory(t), 'root.key');
  addon.createKeyFile(path).release();
  chownSync(path, 65534, 0);
  t.throws(() => addon.loadKeyFile(path), { code: 'KEY_FILE_INVALID' });
  t.end();
});

t.test('a key file has exactly 32 bytes', (t) => {
  const directory = tempDirectory(t);
  for (const lengthBytes of [0, 1, 31, 33, 64]) {
    const path = join(directory, String(lengthBytes));
    writeFileSync(path, Buffer.alloc(lengthBytes, 1), { mode: 0o600 });
    t.throws(() => addon.loadKeyFile(path), { code: 'KEY_FILE_INVALID' });
  }
  t.end();
});

t.test('what is no file is refused, what is missing is not found', (t) => {
  const directory = tempDirectory(t);
  addon.createKeyFile(join(directory, 'root.key')).release();
  symlinkSync('root.key', join(directory, 'link'));
  mkdirSync(join(directory, 'folder'), { mode: 0o700 });
  for (const name of ['link', 'folder']) {
    t.throws(() => addon.loadKeyFile(join(directory, name)), { code: 'KEY_FILE_INVALID' });
  }
  t.throws(() => addon.loadKeyFile('/dev/zero'), { code: 'KEY_FILE_INVALID' });
  t.throws(() => addon.loadKeyFile(join(directory, 'none')), { code: 'FILE_NOT_FOUND' });
  t.throws(() => addon.createKeyFile(join(directory, 'none', 'key')), { code: 'FILE_NOT_FOUND' });
  t.throws(() => addon.loadKeyFile('a\0b'), { code: 'INVALID_ARGUMENT' });
  t.end();
});

t.test('a full disk leaves no part of a key', { skip: !isRoot && 'needs root' }, (t) => {
  const directory = smallFilesystem(t, '64k');
  try {
    writeFileSync(join(directory, 'filler'), Buffer.alloc(1024 * 1024));
  } catch {
    // It is full now, which is the point.
  }
  t.throws(() => addon.createKeyFile(join(directory, 'root.key')), { code: 'NO_SPACE' });
  t.same(readdirSync(directory), ['filler']);
  t.end();
});
