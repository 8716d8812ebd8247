// Commits that arrive together share one transaction; that must never make them share a fate.
import Database from 'better-sqlite3';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openStore } from '../../dist/store/open.js';
import { tempDirectory } from '../support/temp.js';
import type { Store } from '../../dist/store/store.js';
import type { Teardown } from '../support/temp.js';

const migrations = ['CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT'];
const insert = (id: number, text: string | null = 'x') => ({
  sql: 'INSERT INTO note (id, text) VALUES (?, ?)',
  params: [id, text],
});

async function open(t: Teardown): Promise<{ store: Store; path: string }> {
  const path = join(tempDirectory(t), 'a.db');
  const store = await openStore({ path, migrations });
  t.teardown(() => store.close());
  return { store, path };
}

const countIn = (path: string): unknown => {
  const foreign = new Database(path, { readonly: true });
  try {
    return foreign.prepare('SELECT count(*) FROM note').pluck().get();
  } finally {
    foreign.close();
  }
};

t.test('many commits at once are all there when they resolve, for other readers too', async (t) => {
  const { store, path } = await open(t);
  await Promise.all(Array.from({ length: 500 }, (_, id) => store.commit([insert(id)])));
  t.equal(countIn(path), 500);
  t.same(store.get('SELECT count(*) AS n FROM note'), { n: 500 });
});

t.test('commits that wait together cost fewer transactions than commits one by one', async (t) => {
  const walBytes = async (together: boolean): Promise<number> => {
    const { store, path } = await open(t);
    await store.scrub();
    const ids = Array.from({ length: 60 }, (_, id) => id);
    if (together) await Promise.all(ids.map((id) => store.commit([insert(id)])));
    else for (const id of ids) await store.commit([insert(id)]);
    return statSync(`${path}-wal`).size;
  };
  t.ok((await walBytes(true)) * 4 < (await walBytes(false)));
});

t.test('a failing commit does not take the others of its group along', async (t) => {
  const { store } = await open(t);
  const results = await Promise.allSettled([
    store.commit([insert(1)]),
    store.commit([insert(2), insert(3, null)]),
    store.commit([insert(1, 'taken')]),
    store.commit([{ sql: 'INSERT INTO nowhere VALUES (1)', params: [] }]),
    store.commit([insert(4)]),
  ]);
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'rejected', 'fulfilled'],
  );
  t.same(store.all('SELECT id, text FROM note'), [
    { id: 1, text: 'x' },
    { id: 4, text: 'x' },
  ]);
});

t.test('bytes come back as they went in', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  const store = await openStore({ path, migrations: ['CREATE TABLE b (v BLOB) STRICT'] });
  t.teardown(() => store.close());
  const bytes = Buffer.from([0, 1, 255, 128]);
  await store.commit([{ sql: 'INSERT INTO b VALUES (?)', params: [bytes] }]);
  t.same(store.get<{ v: Buffer }>('SELECT v FROM b')?.v, bytes);
});

t.test('a closed store refuses commits and lets earlier ones end', async (t) => {
  const { store, path } = await open(t);
  const before = store.commit([insert(1)]);
  const closed = store.close();
  await t.rejects(store.commit([insert(2)]), { code: 'INTERNAL' });
  await before;
  await closed;
  t.equal(countIn(path), 1);
});
