// Without its root key every disk is lost, so a start must never make up for a missing or wrong
// one, and never use one that others could have read.
import { chmodSync, copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { contextOf, me, testKms } from '../support/kms.js';
import { tempDirectory } from '../support/temp.js';
import { TestKms } from '../support/kms.js';

t.test('the first start makes a private key file and asks for its backup', async (t) => {
  const kms = await testKms(t);
  const { mode, size } = statSync(kms.rootKeyPath);
  t.same({ mode: mode & 0o777, size }, { mode: 0o600, size: 32 });
  t.equal(kms.rootKeyCreated, true);
  t.match(kms.rootKeyWarning, /back it up/);
  const before = readFileSync(kms.rootKeyPath);
  await kms.restart();
  t.equal(kms.rootKeyCreated, false);
  t.equal(kms.rootKeyWarning, undefined);
  t.same(readFileSync(kms.rootKeyPath), before);
});

t.test('keys and data keys outlive a restart', async (t) => {
  const kms = await testKms(t);
  const made = await kms.service.createKey({ alias: 'app-db', description: 'of the app' }, me);
  const context = contextOf('layer-1', 1, made.id);
  const wrapped = await kms.service.withKey(made.id, me, async (session) => {
    const created = await session.createDataKey(context);
    created.dataKey.release();
    return created.wrapped;
  });
  await kms.restart();
  t.same(kms.service.findKey('app-db'), made);
  await kms.service.withKey(made.id, me, async (session) => {
    const dataKey = await session.unwrapDataKey(wrapped, context);
    t.equal(dataKey.lengthBytes, 64);
    dataKey.release();
  });
});

t.test('a missing key file is refused, and none is made', async (t) => {
  const kms = await testKms(t);
  await kms.service.createKey({ alias: 'app-db' }, me);
  await kms.stop();
  const backup = join(tempDirectory(t), 'backup');
  copyFileSync(kms.rootKeyPath, backup);
  rmSync(kms.rootKeyPath);
  await t.rejects(kms.start(), {
    code: 'KEY_FILE_INVALID',
    message: `the root key ${kms.rootKeyPath} is missing`,
    hint: /put its backup at/,
  });
  t.equal(statSync(kms.rootKeyPath, { throwIfNoEntry: false }), undefined);
  copyFileSync(backup, kms.rootKeyPath);
  chmodSync(kms.rootKeyPath, 0o600);
  await kms.start();
  t.equal(kms.service.findKey('app-db').state, 'enabled');
});

t.test('another key file is refused', async (t) => {
  const kms = await testKms(t);
  await kms.stop();
  writeFileSync(kms.rootKeyPath, Buffer.alloc(32, 9), { mode: 0o600 });
  await t.rejects(kms.start(), { code: 'KEY_FILE_INVALID', message: /is not the one of keys\.db/ });
});

t.test('a key file that others may read or write, or of another length, is refused', async (t) => {
  const kms = await testKms(t);
  await kms.stop();
  for (const mode of [0o640, 0o604, 0o644, 0o620]) {
    chmodSync(kms.rootKeyPath, mode);
    await t.rejects(kms.start(), { code: 'KEY_FILE_INVALID' }, mode.toString(8));
  }
  chmodSync(kms.rootKeyPath, 0o600);
  const whole = readFileSync(kms.rootKeyPath);
  for (const bytes of [Buffer.alloc(0), whole.subarray(0, 31), Buffer.concat([whole, whole])]) {
    writeFileSync(kms.rootKeyPath, bytes);
    await t.rejects(kms.start(), { code: 'KEY_FILE_INVALID' }, `${bytes.length} bytes`);
  }
  writeFileSync(kms.rootKeyPath, whole);
  await kms.start();
});

t.test('a key file put there before the first start is used', async (t) => {
  const directory = tempDirectory(t);
  writeFileSync(join(directory, 'root.key'), Buffer.alloc(32, 3), { mode: 0o600 });
  const kms = await testKms(t, directory);
  t.equal(kms.rootKeyCreated, false);
  await kms.service.createKey({ alias: 'a' }, me);
});

t.test('keys without proof of their root key are refused', async (t) => {
  const kms = await testKms(t);
  await kms.service.createKey({ alias: 'a' }, me);
  await kms.stop();
  kms.edit('DELETE FROM root_key');
  await t.rejects(kms.start(), { code: 'KEY_FILE_INVALID' });
});

t.test('a master key moved to another key does not unwrap', async (t) => {
  const kms = new TestKms(tempDirectory(t));
  t.teardown(() => kms.stop());
  await kms.start();
  const [a, b] = [
    await kms.service.createKey({ alias: 'a' }, me),
    await kms.service.createKey({ alias: 'b' }, me),
  ];
  await kms.stop();
  kms.edit(
    `UPDATE key_versions SET wrapped = (SELECT wrapped FROM key_versions WHERE key_id = ?)
     WHERE key_id = ?`,
    a.id,
    b.id,
  );
  await kms.start();
  const use = kms.service.withKey(b.id, me, (session) => session.createDataKey(contextOf('l')));
  await t.rejects(use, { code: 'INTEGRITY_FAILED' });
});
