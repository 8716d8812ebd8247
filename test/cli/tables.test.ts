// Tables are read by people: columns line up under their headings, whatever the names are.
import t from 'tap';
import { fields, localTime, table } from '../../dist/cli/print.js';
import { imageView, volumeView } from '../support/example-views.js';
import { fakeApi } from '../support/fake-api.js';
import { runCli } from '../support/run-cli.js';

t.test('every cell of a list begins under its heading', async (t) => {
  const other = { ...imageView, name: 'a-much-longer-name-than-db', size: 4096, kind: 'volume' };
  const poisoned = {
    ...volumeView,
    name: 'x',
    attachment: { path: '/run/x', read_only: true, gate: 'closed', poisoned: true },
  };
  const { runtimeDir } = await fakeApi(t, () => ({ body: [volumeView, other, poisoned] }));
  const { stdout } = await runCli(['volume', 'list'], { runtimeDir });
  const [heading = '', ...rows] = stdout.trimEnd().split('\n');
  const names = ['NAME', 'SIZE', 'USED', 'SHARED', 'KEY', 'KEY-STATE', 'STATE', 'ATTACHED'];
  t.strictSame(heading.split(/ +/), names);
  t.equal(rows.length, 3);
  for (const name of names) {
    const column = heading.search(new RegExp(`(?<![^ ])${name}( |$)`));
    for (const row of rows) {
      t.match(row.slice(column), /^\S/, `${name} in "${row}"`);
      if (column > 0) t.match(row.slice(column - 2, column), /^ {2}$/);
    }
  }
  t.match(rows[0], /^db +10 GiB +1\.5 GiB +0 bytes +app-db +enabled +in-use +\/run\/keyvol/);
  t.match(rows[1], / -$/, 'an empty cell is a dash');
  t.match(rows[2], /\/run\/x \(closed, poisoned, read-only\)$/);
});

t.test('a list without entries is its headings', async (t) => {
  const { runtimeDir } = await fakeApi(t, () => ({ body: [] }));
  const { status, stdout } = await runCli(['key', 'list'], { runtimeDir });
  t.equal(status, 0);
  t.match(stdout, /^NAME +STATE.*\n$/);
});

t.test('show prints one field a line, sizes for people and exact', async (t) => {
  const { runtimeDir } = await fakeApi(t);
  const { stdout } = await runCli(['volume', 'show', 'db'], { runtimeDir });
  t.match(stdout, /^size: +10 GiB \(10737418240 bytes\)$/m);
  t.match(stdout, /^shared: +0 bytes$/m);
  t.match(stdout, /^on key loss: +deny$/m);
  for (const line of stdout.trimEnd().split('\n')) t.match(line, /^[a-z ]+: +\S/);
});

t.test('a table without rows is as wide as its headings', async (t) => {
  t.equal(table(['A', 'B'], []), 'A  B');
  t.equal(table(['A', 'B'], [['long', '']]), 'A     B\nlong  -');
});

t.test('fields leaves out what is not there', async (t) => {
  t.equal(
    fields([
      ['a', '1'],
      ['reason', undefined],
      ['bcd', ''],
    ]),
    'a:   1\nbcd: -',
  );
});

t.test('times are local, in ISO 8601 with the offset', async (t) => {
  const zone = process.env.TZ;
  t.teardown(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });
  for (const [name, expected] of [
    ['UTC', '2026-11-25T01:02:03Z'],
    ['Asia/Kolkata', '2026-11-25T06:32:03+05:30'],
    ['America/St_Johns', '2026-11-24T21:32:03-03:30'],
  ] as const) {
    process.env.TZ = name;
    t.equal(localTime('2026-11-25T01:02:03.400Z'), expected);
  }
});
