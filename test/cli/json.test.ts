// Programs read --json: every command has it, and prints the daemon's view as it is.
import t from 'tap';
import { commandLines } from '../support/cli-commands.js';
import { exampleReply } from '../support/example-views.js';
import { fakeApi } from '../support/fake-api.js';
import { runCli } from '../support/run-cli.js';

// These act on processes and files of the host: daemon.test.ts runs them.
const needsDaemonProcess = new Set(['daemon stop', 'daemon restart', 'daemon logs']);
const makesItsOwn = new Set(['completion bash']);
/** They warn of what the file is. */
const makesOpenFiles = / export(-key)?$/;
const api = await fakeApi(t);

for (const args of commandLines) {
  const name = args.slice(0, 2).join(' ');
  if (needsDaemonProcess.has(name)) continue;
  t.test(`keyvol ${name} --json prints the reply of the daemon, and nothing else`, async (t) => {
    api.requests.length = 0;
    const { runtimeDir } = api;
    const { status, stdout, stderr } = await runCli([...args, '--json'], { runtimeDir });
    t.equal(status, 0, stderr);
    const view: unknown = JSON.parse(stdout);
    const request = api.requests.at(-1);
    if (makesItsOwn.has(name)) return;
    if (request === undefined) return t.fail('the daemon was not asked');
    const reply = exampleReply(request);
    t.strictSame(view, reply === 'hang' ? undefined : reply.body);
    if (!makesOpenFiles.test(name)) t.equal(stderr, '');
  });
}

t.test('--json is accepted before the noun too', async (t) => {
  const { runtimeDir } = api;
  const before = await runCli(['--json', 'key', 'list'], { runtimeDir });
  const after = await runCli(['key', 'list', '--json'], { runtimeDir });
  t.equal(before.status, 0);
  t.equal(before.stdout, after.stdout);
});
