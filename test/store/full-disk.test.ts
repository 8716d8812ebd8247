// Records of key states must be written when the filesystem is full, and a record that cannot
// be written must say so rather than half happen.
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openStore } from '../../dist/store/open.js';
import { fillFilesystem, isRoot, smallFilesystem } from '../support/temp.js';
import type { Store } from '../../dist/store/store.js';

const migrations = ['CREATE TABLE note (id INTEGER PRIMARY KEY, bytes BLOB) STRICT'];
const skip = !isRoot && 'needs root to mount a small filesystem';

const insert = (store: Store, bytes: number): Promise<void> =>
  store.commit([{ sql: 'INSERT INTO note (bytes) VALUES (?)', params: [Buffer.alloc(bytes, 7)] }]);

t.test('a new store is not begun on a full filesystem', { skip }, async (t) => {
  const directory = smallFilesystem(t, '1m');
  fillFilesystem(directory);
  const path = join(directory, 'a.db');
  await t.rejects(openStore({ path, migrations }), { code: 'NO_SPACE' });
  t.equal(statSync(`${path}.reserve`, { throwIfNoEntry: false }), undefined);
});

t.test(
  'records go on into the reserve, then are refused, then go on again',
  { skip },
  async (t) => {
    const directory = smallFilesystem(t, '4m');
    const path = join(directory, 'a.db');
    const store = await openStore({ path, migrations });
    t.teardown(() => store.close());
    await insert(store, 1000);
    const filler = fillFilesystem(directory);

    let written = 1;
    for (; written < 10_000; written++) {
      try {
        await insert(store, 2000);
      } catch (error) {
        t.match(error, { code: 'NO_SPACE', message: /no space left/ });
        break;
      }
    }
    t.ok(written > 50 && written < 10_000, `${written} records went into the reserve`);
    t.equal(statSync(`${path}.reserve`, { throwIfNoEntry: false }), undefined);
    t.same(store.get('SELECT count(*) AS n FROM note'), { n: written }, 'nothing half written');

    const group = await Promise.allSettled([insert(store, 900_000), insert(store, 900_000)]);
    t.same(
      group.map((result) => result.status === 'rejected' && result.reason.code),
      ['NO_SPACE', 'NO_SPACE'],
    );

    rmSync(filler);
    await insert(store, 2000);
    t.equal(statSync(`${path}.reserve`).size, 1024 * 1024, 'the reserve is there again');
    t.same(store.get('SELECT count(*) AS n FROM note'), { n: written + 1 });
  },
);

t.test('an old store opens on a full filesystem', { skip }, async (t) => {
  const directory = smallFilesystem(t, '3m');
  const path = join(directory, 'a.db');
  await (await openStore({ path, migrations })).close();
  fillFilesystem(directory);
  const store = await openStore({ path, migrations });
  t.teardown(() => store.close());
  await insert(store, 1000);
  t.same(store.get('SELECT count(*) AS n FROM note'), { n: 1 });
});

t.test('a reserve that was cut short is made whole', { skip }, async (t) => {
  const directory = smallFilesystem(t, '4m');
  const path = join(directory, 'a.db');
  await (await openStore({ path, migrations })).close();
  writeFileSync(`${path}.reserve`, 'short');
  await (await openStore({ path, migrations })).close();
  t.equal(statSync(`${path}.reserve`).size, 1024 * 1024);
});
