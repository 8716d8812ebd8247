// Reads that belong together see one moment, whatever is committed between them.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openStore } from '../../dist/store/open.js';
import { tempDirectory } from '../support/temp.js';

const migrations = ['CREATE TABLE note (id INTEGER PRIMARY KEY) STRICT'];

t.test('a commit between two reads', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  const store = await openStore({ path, migrations });
  t.teardown(() => store.close());
  const other = new Database(path);
  const count = (): number =>
    store.get<{ n: number }>('SELECT count(*) AS n FROM note')?.n ?? Number.NaN;
  const read = (): number[] => {
    const before = count();
    other.exec('INSERT INTO note DEFAULT VALUES');
    return [before, count()];
  };
  t.same(read(), [0, 1], 'comes between them');
  t.same(store.atOneMoment(read), [1, 1], 'but not at one moment');
  t.same(
    store.atOneMoment(() => store.atOneMoment(read)),
    [2, 2],
    'nor inside of one',
  );
  t.equal(count(), 3);
  t.throws(() => store.atOneMoment(() => store.all('SELECT nothing')), {
    code: 'STATE_DIR_UNUSABLE',
  });
  t.equal(count(), 3, 'a failure ends the moment');
  other.close();
});
