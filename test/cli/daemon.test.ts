// `keyvol daemon` must leave no doubt: when start returns the daemon answers, when stop returns it is
// gone, and when it fails the person sees why without looking for a log.
import t from 'tap';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusView } from '../../dist/api/types.js';
import { cliMain, collect, runCli, spawnCli, type CliOptions } from '../support/run-cli.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

type Test = Parameters<typeof tempDirectory>[0];

// Without FUSE: what these tests ask needs no disks.
const start = ['daemon', 'start', '--fuse-driver', 'none'];

function place(t: Test): Required<Pick<CliOptions, 'stateDir' | 'runtimeDir'>> {
  const directory = tempDirectory(t);
  const where = { stateDir: join(directory, 'state'), runtimeDir: join(directory, 'run') };
  t.teardown(() => runCli(['daemon', 'stop'], where));
  return where;
}

async function pidOf(where: CliOptions): Promise<number> {
  const { stdout } = await runCli(['status', '--json'], where);
  // The view of a daemon that answers, or the test fails right here.
  return (JSON.parse(stdout) as StatusView).pid;
}

t.test('start returns when the daemon answers, having warned of the new root key', async (t) => {
  const where = place(t);
  const { status, stdout, stderr } = await runCli(start, where);
  t.equal(status, 0, stderr);
  t.match(stdout, new RegExp(`^started keyvold, pid ${String(await pidOf(where))}\n`));
  t.match(stderr, /^keyvol: warning: .*root key.*back it up/m);
  t.equal((await runCli(['key', 'create', 'app-db'], where)).status, 0);
});

t.test('starting what runs already is a friendly no-op', async (t) => {
  const where = place(t);
  await runCli(start, where);
  const pid = await pidOf(where);
  const { status, stdout } = await runCli(start, where);
  t.equal(status, 0);
  t.equal(stdout, `keyvold is already running, pid ${String(pid)}\n`);
  t.equal(await pidOf(where), pid);
});

t.test('stop returns when the process is gone; stopping again is a no-op', async (t) => {
  const where = place(t);
  await runCli(start, where);
  const pid = await pidOf(where);
  const { status, stdout } = await runCli(['daemon', 'stop'], where);
  t.equal(status, 0);
  t.equal(stdout, `stopped keyvold, pid ${String(pid)}\n`);
  t.notOk(existsSync(`/proc/${String(pid)}/exe`));
  const again = await runCli(['daemon', 'stop', '--json'], where);
  t.equal(again.status, 0);
  t.strictSame(JSON.parse(again.stdout), { stopped: false });
  t.equal((await runCli(['daemon', 'status'], where)).status, 7);
});

t.test('restart starts another process on the same keys', async (t) => {
  const where = place(t);
  await runCli(start, where);
  await runCli(['key', 'create', 'app-db'], where);
  const pid = await pidOf(where);
  t.equal((await runCli(['daemon', 'restart', '--fuse-driver', 'none'], where)).status, 0);
  t.not(await pidOf(where), pid);
  t.equal((await runCli(['key', 'show', 'app-db'], where)).status, 0);
});

t.test('the log is for its owner only, and logs shows its last lines', async (t) => {
  const where = place(t);
  t.equal((await runCli(['daemon', 'logs'], where)).status, 3, 'no log yet');
  await runCli(start, where);
  t.equal(statSync(join(where.stateDir, 'log', 'keyvold.log')).mode & 0o777, 0o600);
  const { status, stdout } = await runCli(['daemon', 'logs', '-n', '1'], where);
  t.equal(status, 0);
  t.match(stdout, /^.*ready.*\n$/);
  const lines: unknown = JSON.parse((await runCli(['daemon', 'logs', '--json'], where)).stdout);
  t.ok(Array.isArray(lines) && lines.length > 1);
});

t.test('what the daemon said as it started is shown once, with its time', async (t) => {
  const stateDir = tempDirectory(t);
  mkdirSync(join(stateDir, 'log'));
  const record = { level: 40, time: '2026-11-25T01:02:03.000Z', msg: 'a new root key' };
  const written = [JSON.stringify(record), 'keyvold: warning: a new root key', 'another line'];
  writeFileSync(join(stateDir, 'log', 'keyvold.log'), written.join('\n'));
  const { stdout } = await runCli(['daemon', 'logs'], { stateDir });
  t.equal(stdout, '2026-11-25T01:02:03Z warning: a new root key\nanother line\n');
});

const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];

function whatKeepsNobodyOut(): string | false {
  if (!isRoot) return 'only root can become another user';
  const test = spawnSync('setpriv', [...asNobody, 'test', '-r', cliMain]);
  return test.status === 0 ? false : 'other users cannot read this tree';
}

t.test('an unreadable log is not called missing', { skip: whatKeepsNobodyOut() }, async (t) => {
  const stateDir = tempDirectory(t);
  chmodSync(stateDir, 0o700);
  const command = [process.execPath, cliMain, 'daemon', 'logs', '--state-dir', stateDir];
  const child = spawn('setpriv', [...asNobody, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { status, stderr } = await collect(child);
  t.equal(status, 6);
  t.match(stderr, /^keyvol: error: not permitted to read .*keyvold\.log\nhint: /);
});

t.test('logs -f goes on with what is written later, until Ctrl-C', async (t) => {
  const where = place(t);
  await runCli(start, where);
  const child = spawnCli(['daemon', 'logs', '-f', '-n', '0'], where);
  const result = collect(child);
  const later = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      if (String(chunk).includes('stopping')) resolve();
    });
  });
  // It may not follow yet when the daemon is stopped: then a restart is written about as well.
  await sleep(1000);
  await runCli(['daemon', 'restart', '--fuse-driver', 'none'], where);
  await later;
  child.kill('SIGINT');
  t.equal((await result).status, 130);
});

t.test(
  'a state directory of a newer version: the words and the status of the daemon',
  async (t) => {
    const where = place(t);
    mkdirSync(where.stateDir, { mode: 0o700 });
    writeFileSync(join(where.stateDir, 'version'), '999\n');
    const { status, stdout, stderr } = await runCli(start, where);
    t.equal(status, 6);
    t.equal(stdout, '');
    t.match(stderr, /^keyvol: error: .*999.*\nhint: /);
  },
);

t.test('a state directory that cannot be made ends with 6 and its name', async (t) => {
  const where = place(t);
  const stateDir = join(where.runtimeDir, '..', 'file', 'state');
  writeFileSync(join(where.runtimeDir, '..', 'file'), '');
  const { status, stderr } = await runCli(start, { ...where, stateDir });
  t.equal(status, 6);
  t.match(stderr, /^keyvol: error: state directory .*\/state cannot be written: ENOTDIR\nhint: /);
});

const skip = isRoot ? false : 'needs root to mount a small filesystem';
t.test('a full disk ends with 9, also where no word fits into the log', { skip }, async (t) => {
  const where = place(t);
  const stateDir = smallFilesystem(t, '64k');
  chmodSync(stateDir, 0o700);
  try {
    writeFileSync(join(stateDir, 'lost+found'), Buffer.alloc(1 << 20));
  } catch {
    // Full, as it should be.
  }
  const { status, stderr } = await runCli(start, { ...where, stateDir });
  t.equal(status, 9);
  t.match(stderr, /^keyvol: error: /m);
});

t.test(
  'in the foreground the log is on the terminal, and a signal stops it in order',
  async (t) => {
    const where = place(t);
    const child = spawnCli([...start, '--foreground'], where);
    const result = collect(child);
    while ((await runCli(['status'], where)).status !== 0) await sleep(50);
    child.kill('SIGTERM');
    const { status, stdout } = await result;
    t.equal(status, 0);
    t.match(stdout, /keyvold ready: /);
    t.equal((await runCli(['status'], where)).status, 7);
  },
);
