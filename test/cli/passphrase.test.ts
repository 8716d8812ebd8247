/**
 * The passphrase of a LUKS2 export reaches the daemon over a socket of its own, byte for byte as it
 * came from a descriptor or was typed, and is in no request.
 */
import t from 'tap';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { exportView } from '../support/example-views.js';
import { fakeApi, type FakeApi, type FakeRequest } from '../support/fake-api.js';
import { cliMain, collect, runCli, runOnTerminal, type CliResult } from '../support/run-cli.js';
import { tempDirectory, type Teardown } from '../support/temp.js';

const exporting = ['volume', 'export', 'db', '--out', '/db.luks', '--format', 'luks2'];

interface Daemon extends FakeApi {
  /** What the sockets gave. */
  readonly received: string[];
}

/** A daemon that takes the passphrase as ours does. */
async function receivingDaemon(t: Teardown): Promise<Daemon> {
  const received: string[] = [];
  const api = await fakeApi(t, async ({ body }) => {
    received.push(await readAll(socketIn(body)));
    return { body: exportView };
  });
  return { ...api, received };
}

function socketIn(body: unknown): string {
  // The requests here have this field.
  return (body as { passphrase_socket: string }).passphrase_socket;
}

async function readAll(path: string): Promise<string> {
  let text = '';
  for await (const chunk of connect(path)) text += String(chunk);
  return text;
}

/** With descriptor 3 as the shell makes it; by default it is a pipe with `input`. */
function exportFrom(
  { runtimeDir }: FakeApi,
  input: string,
  redirection = '3<&0',
): Promise<CliResult> {
  const script = `exec "$@" --passphrase-fd 3 ${redirection} </dev/null`;
  const child = spawn('sh', ['-c', script, 'sh', process.execPath, cliMain, ...exporting], {
    stdio: 'pipe',
    env: { ...process.env, KEYVOL_RUNTIME_DIR: runtimeDir },
  });
  // It reads no further than it must.
  child.stdin.on('error', () => undefined).end(input);
  return collect(child);
}

for (const [name, given, taken] of [
  ['up to the first newline', 'correct horse\nbattery\n', 'correct horse'],
  ['to its end', ' correct\thorse ', ' correct\thorse '],
  ['as bytes', 'ä\0\r\n', 'ä\0\r'],
] as const) {
  t.test(`it is read from a descriptor ${name}`, async (t) => {
    const daemon = await receivingDaemon(t);
    const { status, stderr } = await exportFrom(daemon, given);
    t.equal(status, 0, stderr);
    t.same(daemon.received, [taken]);
    const body = daemon.requests[0]?.body;
    t.strictSame(body, { file: '/db.luks', format: 'luks2', passphrase_socket: socketIn(body) });
    t.notOk(existsSync(socketIn(body)), 'the socket is gone');
  });
}

t.test('the descriptor may be a file', async (t) => {
  const daemon = await receivingDaemon(t);
  const path = join(tempDirectory(t), 'passphrase');
  writeFileSync(path, 'correct horse\n');
  t.equal((await exportFrom(daemon, '', `3<'${path}'`)).status, 0);
  t.same(daemon.received, ['correct horse']);
});

t.test('one that is empty, too long or not there is refused', async (t) => {
  const daemon = await receivingDaemon(t);
  const closed = await exportFrom(daemon, '', '3<&-');
  t.match(closed, { status: 2, stderr: /from descriptor 3/ });
  t.match(await exportFrom(daemon, '\n'), { status: 2, stderr: /the passphrase is empty/ });
  t.match(await exportFrom(daemon, 'x'.repeat(256)), { status: 2, stderr: /more than 255 bytes/ });
  t.equal((await exportFrom(daemon, 'x'.repeat(255))).status, 0);
  t.equal(daemon.requests.length, 1);
});

t.test('it is typed twice, and not shown', async (t) => {
  const daemon = await receivingDaemon(t);
  const typed = 'wrong\x15corrä\x7fect hors\x7fse\rcorrect horse\r';
  const { status, shown } = await runOnTerminal(exporting, typed, daemon);
  t.equal(status, 0, shown);
  t.match(shown, /^new passphrase: \nonce more: \n/);
  t.notMatch(shown, /horse/);
  t.same(daemon.received, ['correct horse']);
});

t.test('two that differ are refused, and Ctrl-C ends it', async (t) => {
  const daemon = await receivingDaemon(t);
  const differ = await runOnTerminal(exporting, 'one\rother\r', daemon);
  t.match(differ, { status: 2, shown: /the two passphrases are not the same/ });
  t.equal((await runOnTerminal(exporting, 'one\x03', daemon)).status, 130);
  t.same(daemon.requests, []);
});

t.test('options that do not fit the format, or nobody to ask', async (t) => {
  const daemon = await receivingDaemon(t);
  const wrong = [exporting, [...exporting, '--plaintext']];
  const raw = [...exporting.slice(0, 5), '--plaintext'];
  wrong.push([...raw, '--passphrase-fd', '3'], [...raw, '--pbkdf', 'pbkdf2']);
  for (const args of wrong) t.equal((await runCli(args, daemon)).status, 2, args.join(' '));
  t.same(daemon.requests, []);
});

t.test('an export of an image asks for the pbkdf', async (t) => {
  const requests: FakeRequest[] = [];
  const daemon = await fakeApi(t, (request) => {
    requests.push(request);
    return undefined;
  });
  const args = ['image', 'export', 'debian', ...exporting.slice(3), '--pbkdf', 'argon2id'];
  const { status } = await runOnTerminal(args, 'a\ra\r', daemon);
  t.equal(status, 0);
  t.match(requests, [{ path: '/images/debian/export', body: { pbkdf: 'argon2id' } }]);
});
