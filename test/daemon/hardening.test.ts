// A process that holds keys must not open doors that Node opens for every other program.
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync, readdirSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { daemonMain, startDaemon } from '../support/daemon.js';
import { isRoot, tempDirectory } from '../support/temp.js';

// Real daemons, one after the other, on a machine that may have other things to do.
t.setTimeout(120_000);

const none = { fuseDriver: 'none' } as const;

t.test('SIGUSR1 opens no inspector', async (t) => {
  const daemon = await startDaemon(t, none);
  for (let i = 0; i < 3; i++) daemon.signal('SIGUSR1');
  await daemon.client.status();
  t.notMatch(daemon.output(), /Debugger listening/);
  t.same(listeningPorts(daemon.pid), []);
});

t.test('NODE_OPTIONS is not obeyed, and the process stays the same one', async (t) => {
  const evil = join(tempDirectory(t), 'evil.cjs');
  writeFileSync(evil, 'setInterval(() => process.stderr.write("evil\\n"), 20);');
  const daemon = await startDaemon(t, { ...none, env: { NODE_OPTIONS: `--require ${evil}` } });
  t.equal((await daemon.client.status()).pid, daemon.pid);
  const before = daemon.output().length;
  await daemon.client.createKey({ name: 'app-db' });
  t.notMatch(daemon.output().slice(before), /evil/);
  t.notMatch(readFileSync(`/proc/${String(daemon.pid)}/environ`, 'latin1'), /NODE_OPTIONS/);
});

t.test('it dumps no core, and its files are its owner’s only', { skip: !isRoot }, async (t) => {
  const { pid } = await startDaemon(t, none);
  const limits = readFileSync(`/proc/${String(pid)}/limits`, 'latin1');
  t.match(limits, /Max core file size +0 +0 /);
  t.match(readFileSync(`/proc/${String(pid)}/status`, 'latin1'), /^Umask:\s0077$/m);
});

// Traced and not looked up afterwards: both need CAP_SYS_RESOURCE, which a container's root lacks.
t.test('it asks for what I/O processes need under pressure', { skip: !isRoot }, (t) => {
  const trace = join(tempDirectory(t), 'trace');
  const options = ['-f', '-qq', '-e', 'trace=prctl,write', '-o', trace];
  execFileSync('strace', [...options, process.execPath, daemonMain, '--version']);
  const calls = readFileSync(trace, 'utf8');
  t.match(calls, /prctl\((PR_SET_IO_FLUSHER|0x39[^,]*), 1, 0, 0, 0\)/);
  t.match(calls, /write\(\d+, "-1000", 5\)/, 'oom_score_adj');
  t.end();
});

t.test('no secret is among its arguments or in its environment', async (t) => {
  const { pid, stateDir } = await startDaemon(t, none);
  const rootKey = readFileSync(join(stateDir, 'root.key'));
  const seen = ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${String(pid)}/${name}`));
  for (const bytes of seen) {
    for (const encoding of ['latin1', 'hex', 'base64'] as const) {
      t.notOk(bytes.toString('latin1').includes(rootKey.toString(encoding)), encoding);
    }
  }
});

/** Ports on which the process listens, by the sockets it holds. */
function listeningPorts(pid: number): string[] {
  const directory = `/proc/${String(pid)}/fd`;
  const links = readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  return ['tcp', 'tcp6']
    .flatMap((name) => readFileSync(`/proc/${String(pid)}/net/${name}`, 'latin1').split('\n'))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && inodes.has(fields[9]))
    .map((fields) => fields[1] ?? '');
}
