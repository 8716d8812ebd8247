// On a terminal keyvol colours its errors and asks before it destroys; elsewhere it does neither.
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { impactView, keyView } from '../support/example-views.js';
import { fakeApi, refusal, type FakeRequest } from '../support/fake-api.js';
import { runCli, runOnTerminal } from '../support/run-cli.js';

const skip = hasScript() ? false : 'script (util-linux) is not installed';
const escape = '\u001b[';

function hasScript(): boolean {
  try {
    execFileSync('script', ['--version']);
    return true;
  } catch {
    return false;
  }
}

function refuse(): ReturnType<typeof refusal> {
  return refusal('KEY_DISABLED', 'key app-db is disabled', 'keyvol key enable app-db');
}

const deletes = ({ method }: FakeRequest) => method === 'DELETE';

t.test('nothing is coloured where stderr is no terminal', async (t) => {
  const { runtimeDir } = await fakeApi(t, refuse);
  const { stderr } = await runCli(['volume', 'attach', 'db'], { runtimeDir });
  t.equal(stderr, 'keyvol: error: key app-db is disabled\nhint: keyvol key enable app-db\n');
});

t.test('errors are coloured on a terminal', { skip }, async (t) => {
  const { runtimeDir } = await fakeApi(t, refuse);
  const { status, shown } = await runOnTerminal(['volume', 'attach', 'db'], '', { runtimeDir });
  t.equal(status, 4);
  t.ok(shown.includes(escape));
});

t.test('NO_COLOR is obeyed on a terminal', { skip }, async (t) => {
  const { runtimeDir } = await fakeApi(t, refuse);
  const options = { runtimeDir, env: { NO_COLOR: '1' } };
  const { shown } = await runOnTerminal(['volume', 'attach', 'db'], '', options);
  t.notOk(shown.includes(escape), shown);
});

t.test('delete asks on a terminal, and a no changes nothing', { skip }, async (t) => {
  const api = await fakeApi(t);
  const { status, shown } = await runOnTerminal(['volume', 'delete', 'db'], 'n\n', api);
  t.equal(status, 6);
  t.match(shown, /delete volume db and its data\? \[y\/N\]/);
  t.notOk(api.requests.some(deletes));
});

t.test('delete goes on after a yes', { skip }, async (t) => {
  const api = await fakeApi(t);
  const { status, shown } = await runOnTerminal(['volume', 'delete', 'db'], 'y\n', api);
  t.equal(status, 0, shown);
  t.equal(api.requests.filter(deletes).length, 1);
});

t.test('--yes leaves the question out', { skip }, async (t) => {
  const api = await fakeApi(t);
  const { status, shown } = await runOnTerminal(['volume', 'delete', 'db', '--yes'], '', api);
  t.equal(status, 0);
  t.notMatch(shown, /\[y\/N\]/);
});

t.test('nothing is asked where there is no terminal', async (t) => {
  const api = await fakeApi(t);
  const { status, stderr } = await runCli(['volume', 'delete', 'db'], api);
  t.equal(status, 0);
  t.equal(stderr, '');
});

const schedule = ['key', 'schedule-deletion', 'app-db', '--days', '30'];

t.test("deleting a key in use goes on when the key's name is typed", { skip }, async (t) => {
  const api = await fakeApi(t);
  const { status, shown } = await runOnTerminal(schedule, 'app-db\n', api);
  t.equal(status, 0, shown);
  t.match(shown, /needed by 1 volume, 1 image/);
  t.strictSame(api.requests.at(-1)?.body, { days: 30, confirm: 'app-db' });
});

t.test('deleting a key in use stops when another name is typed', { skip }, async (t) => {
  const api = await fakeApi(t);
  const { status } = await runOnTerminal(schedule, 'yes\n', api);
  t.equal(status, 6);
  t.match(api.requests.at(-1)?.path, /impact$/, 'nothing was scheduled');
});

t.test('deleting a key that nothing uses asks nothing', { skip }, async (t) => {
  const api = await fakeApi(t, ({ path }) =>
    path.endsWith('impact') ? { body: { ...impactView, disks: [] } } : { body: scheduled },
  );
  const { status, shown } = await runOnTerminal(schedule, '', api);
  t.equal(status, 0, shown);
  t.match(shown, /key app-db will be deleted in 30 days/);
});

const scheduled = {
  key: { ...keyView, state: 'pending-deletion', key_state: '4', deletion_days_left: 30 },
  changed: true,
  disks: [],
  took_ms: 3,
};
