// The exit statuses are an ABI: scripts branch on them, so each one is reached here.
import t from 'tap';
import type { FaultCode } from '../../dist/fault.js';
import { fakeApi, refusal } from '../support/fake-api.js';
import { runCli, spawnCli, collect } from '../support/run-cli.js';

const statusOfRefusals: [number, FaultCode][] = [
  [1, 'INTERNAL'],
  [2, 'KEY_NOT_CHOOSABLE'],
  [2, 'SAME_KEY'],
  [3, 'VOLUME_NOT_FOUND'],
  [4, 'KEY_DISABLED'],
  [5, 'PERMISSION_DENIED'],
  [6, 'WRONG_STATE'],
  [8, 'INTEGRITY_FAILED'],
  [9, 'NO_SPACE'],
];

t.test('a command that did what it was asked ends with 0', async (t) => {
  const { runtimeDir } = await fakeApi(t);
  const { status, stderr } = await runCli(['volume', 'attach', 'db'], { runtimeDir });
  t.equal(status, 0);
  t.equal(stderr, '');
});

for (const [expected, code] of statusOfRefusals) {
  t.test(`a reply of ${code} ends with ${String(expected)}`, async (t) => {
    const { runtimeDir } = await fakeApi(t, () => refusal(code, 'volume db is not well'));
    const { status, stdout, stderr } = await runCli(['volume', 'attach', 'db'], { runtimeDir });
    t.equal(status, expected);
    t.equal(stdout, '');
    t.equal(stderr, 'keyvol: error: volume db is not well\n');
  });
}

t.test('a code that this client does not know ends with 1 and is shown', async (t) => {
  const { runtimeDir } = await fakeApi(t, () => ({
    status: 500,
    body: { error: { code: 'FROM_THE_FUTURE', message: 'volume db is odd' } },
  }));
  const { status, stderr } = await runCli(['volume', 'attach', 'db'], { runtimeDir });
  t.equal(status, 1);
  t.match(stderr, /^keyvol: error: volume db is odd .*FROM_THE_FUTURE/);
});

t.test('without a daemon a command ends with 7 and says how to start one', async (t) => {
  const { status, stdout, stderr } = await runCli(['key', 'list']);
  t.equal(status, 7);
  t.equal(stdout, '');
  t.match(
    stderr,
    /^keyvol: error: .*\/nonexistent\/keyvol-test\/api\.sock\nhint: .*daemon start\n$/,
  );
});

for (const command of [
  ['volume', 'create', 'db', '--size', '1G'],
  ['key', 'list'],
]) {
  t.test(`Ctrl-C during ${command.slice(0, 2).join(' ')} ends with 130 and one line`, async (t) => {
    const api = await fakeApi(t, () => 'hang');
    const child = spawnCli(command, { runtimeDir: api.runtimeDir });
    const result = collect(child);
    while (api.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill('SIGINT');
    const { status, stdout, stderr } = await result;
    t.equal(status, 130);
    t.equal(stdout, '');
    t.equal(stderr.trim(), 'keyvol: interrupted');
    while (api.abandoned() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    t.equal(api.abandoned(), 1, 'the daemon sees that nobody waits any more');
  });
}
