// A state directory that is not ours, newer or not writable must be refused before it is changed.
import Database from 'better-sqlite3';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openStore } from '../../dist/store/open.js';
import type { StoreOptions } from '../../dist/store/store.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

const first = 'CREATE TABLE note (id INTEGER PRIMARY KEY) STRICT';
const second = 'ALTER TABLE note ADD COLUMN text TEXT';

t.test('files are private, and settings are durable ones', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  const store = await openStore({ path, migrations: [first] });
  t.teardown(() => store.close());
  await store.commit([{ sql: 'INSERT INTO note VALUES (1)', params: [] }]);
  for (const suffix of ['', '-wal', '-shm', '.reserve']) {
    t.equal(statSync(path + suffix).mode & 0o777, 0o600, `mode of a.db${suffix}`);
  }
  t.same(store.get('PRAGMA journal_mode'), { journal_mode: 'wal' });
});

t.test('a database that others could read is made private', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  await (await openStore({ path, migrations: [first] })).close();
  chmodSync(path, 0o644);
  await (await openStore({ path, migrations: [first] })).close();
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('migrations run once each, in order, and keep what is there', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  const old = await openStore({ path, migrations: [first] });
  await old.commit([{ sql: 'INSERT INTO note VALUES (7)', params: [] }]);
  await old.close();
  for (const _ of ['migrates', 'is up to date']) {
    const store = await openStore({ path, migrations: [first, second] });
    t.same(store.all('SELECT * FROM note'), [{ id: 7, text: null }]);
    t.same(store.get('PRAGMA user_version'), { user_version: 2 });
    await store.close();
  }
});

t.test('a migration that fails leaves the version before it', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  const broken = `${second}; INSERT INTO nowhere VALUES (1)`;
  await t.rejects(openStore({ path, migrations: [first, broken] }), { code: 'STATE_DIR_UNUSABLE' });
  const store = await openStore({ path, migrations: [first] });
  t.teardown(() => store.close());
  t.same(store.get('PRAGMA user_version'), { user_version: 1 });
  t.same(
    store.all<{ name: string }>('PRAGMA table_info(note)').map(({ name }) => name),
    ['id'],
  );
});

t.test('a newer version is refused, naming the file and both versions', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  await (await openStore({ path, migrations: [first, second] })).close();
  const before = readFileSync(path);
  await t.rejects(openStore({ path, migrations: [first] }), {
    code: 'STATE_DIR_NEWER',
    message: `${path} has version 2, this keyvol knows versions up to 1`,
  });
  t.same(readFileSync(path), before);
});

t.test('what is not our database is refused and left as it is', async (t) => {
  const directory = tempDirectory(t);
  const text = join(directory, 'text.db');
  writeFileSync(text, 'the quick brown fox jumps over the lazy dog '.repeat(100));
  const foreign = join(directory, 'foreign.db');
  new Database(foreign).exec('CREATE TABLE theirs (x)').close();
  const folder = join(directory, 'folder.db');
  mkdirSync(folder);
  for (const path of [text, foreign]) {
    const before = readFileSync(path);
    await t.rejects(openStore({ path, migrations: [first] }), { code: 'STATE_DIR_UNUSABLE' });
    t.same(readFileSync(path), before);
  }
  await t.rejects(openStore({ path: folder, migrations: [first] }), { code: 'STATE_DIR_UNUSABLE' });
});

/** A closed database of two records, one of which names the other, with some bytes changed. */
async function changedDatabase(t: Test, from: string, to: string): Promise<StoreOptions> {
  const path = join(tempDirectory(t), 'a.db');
  const migrations = [
    `CREATE TABLE parent (id TEXT PRIMARY KEY) STRICT;
     CREATE TABLE child (id TEXT PRIMARY KEY, parent_id TEXT REFERENCES parent (id)) STRICT;
     INSERT INTO parent VALUES ('aaaa');
     INSERT INTO child VALUES ('cccc', 'aaaa')`,
  ];
  await (await openStore({ path, migrations })).close();
  const bytes = readFileSync(path);
  bytes.write(to, bytes.indexOf(from), 'latin1');
  writeFileSync(path, bytes);
  return { path, migrations };
}

const damaged = {
  code: 'STATE_DIR_UNUSABLE',
  message: /is damaged/,
  hint: /restore the file from a backup/,
};

t.test('records that failing storage has changed are refused, and left as they are', async (t) => {
  const options = await changedDatabase(t, 'aaaa', 'aaab');
  const before = readFileSync(options.path);
  await t.rejects(openStore(options), damaged);
  t.same(readFileSync(options.path), before);
});

t.test('a schema that failing storage has changed is named as what it is', async (t) => {
  const store = await openStore(await changedDatabase(t, 'parent_id TEXT', 'parent_if TEXT'));
  t.teardown(() => store.close());
  t.throws(() => store.all('SELECT parent_id FROM child'), damaged);
});

t.test('a missing directory is refused', async (t) => {
  const path = join(tempDirectory(t), 'missing', 'a.db');
  await t.rejects(openStore({ path, migrations: [first] }), { code: 'STATE_DIR_UNUSABLE' });
});

t.test('a read-only filesystem', { skip: !isRoot && 'needs root to mount' }, async (t) => {
  const directory = smallFilesystem(t, '4m');
  const path = join(directory, 'a.db');
  const remount = (mode: string): Buffer =>
    execFileSync('mount', ['-o', `remount,${mode}`, directory]);
  remount('ro');
  await t.rejects(openStore({ path, migrations: [first] }), { code: 'STATE_DIR_UNUSABLE' }, 'new');
  remount('rw');
  await (await openStore({ path, migrations: [first] })).close();
  remount('ro');
  await t.rejects(openStore({ path, migrations: [first] }), { code: 'STATE_DIR_UNUSABLE' }, 'old');
});

t.test('closing leaves no log behind', async (t) => {
  const directory = tempDirectory(t);
  const store = await openStore({ path: join(directory, 'a.db'), migrations: [first] });
  await store.commit([{ sql: 'INSERT INTO note VALUES (1)', params: [] }]);
  await store.close();
  t.same(readdirSync(directory).sort(), ['a.db', 'a.db.reserve']);
});
