// How the daemon comes, goes, is killed and comes back: whoever supervises it relies on each step.
import { connect } from 'node:net';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runDaemon, startDaemon } from '../support/daemon.js';
import { tempDirectory } from '../support/temp.js';

// Real daemons, one after the other, on a machine that may have other things to do.
t.setTimeout(120_000);

const none = { fuseDriver: 'none' } as const;

t.test('it says that it is ready, and that the root key wants a backup, once', async (t) => {
  const stateDir = join(tempDirectory(t), 'state');
  const first = await startDaemon(t, { ...none, stateDir });
  t.match(first.output(), `keyvold ready: ${first.socketPath}\n`);
  t.match(first.output(), /^keyvold: warning: .*root\.key.*back it up/m);
  await first.stop();
  const second = await startDaemon(t, { ...none, stateDir });
  t.notMatch(second.output(), /back it up/);
});

t.test('only its owner can reach what it makes', async (t) => {
  const { stateDir, runtimeDir, socketPath } = await startDaemon(t, none);
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
  t.equal(modeOf(stateDir), '700');
  t.equal(modeOf(runtimeDir), '700');
  t.equal(modeOf(socketPath), '600');
  for (const name of ['keys.db', 'disks.db', 'root.key', 'lock', 'version']) {
    t.equal(modeOf(join(stateDir, name)), '600', name);
  }
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends it with status 0 and no socket`, async (t) => {
    const daemon = await startDaemon(t, none);
    daemon.signal(signal);
    t.same(await daemon.exit(), { status: 0, signal: null });
    t.notOk(existsSync(daemon.socketPath));
  });
}

t.test('a client can end it, and hears that it was heard', async (t) => {
  const daemon = await startDaemon(t, none);
  await daemon.client.shutdown();
  t.same(await daemon.exit(), { status: 0, signal: null });
});

t.test('a client that only holds a connection does not hold up the end', async (t) => {
  const daemon = await startDaemon(t, none);
  const silent = connect(daemon.socketPath);
  const halfSent = connect(daemon.socketPath, () =>
    halfSent.write('POST /keyvol/v1/keys HTTP/1.1\r\n'),
  );
  for (const socket of [silent, halfSent]) socket.on('error', () => undefined);
  await Promise.all([once(silent, 'connect'), once(halfSent, 'connect')]);
  await daemon.client.status();
  const begunMs = performance.now();
  t.same(await daemon.stop(), { status: 0, signal: null });
  t.ok(performance.now() - begunMs < 10_000, 'within the promised 10 s');
});

t.test('keys survive a stop and a kill', async (t) => {
  const stateDir = join(tempDirectory(t), 'state');
  const runtimeDir = join(tempDirectory(t), 'run');
  const first = await startDaemon(t, { ...none, stateDir, runtimeDir });
  const key = await first.client.createKey({ name: 'app-db' });
  await first.kill();
  t.ok(existsSync(first.socketPath), 'a killed daemon leaves its socket');
  const second = await startDaemon(t, { ...none, stateDir, runtimeDir });
  await second.client.disableKey('app-db');
  await second.stop();
  const third = await startDaemon(t, { ...none, stateDir, runtimeDir });
  t.match(await third.client.showKey(key.id), { name: 'app-db', state: 'disabled' });
});

t.test('a file where the socket should be is not removed', async (t) => {
  const runtimeDir = tempDirectory(t);
  writeFileSync(join(runtimeDir, 'api.sock'), 'precious');
  const { status, output } = await runDaemon(t, { ...none, runtimeDir });
  t.equal(status, 6);
  t.match(output, /keyvold: error: .*api\.sock is not a socket/);
  t.ok(existsSync(join(runtimeDir, 'api.sock')));
});
