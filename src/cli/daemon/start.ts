import { Option, type Command } from 'commander';
import type { StatusView } from '../../api/types.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { EndedWith } from '../exit.js';
import { linesOf, logFileOf, readSince } from './log-file.js';
import {
  exitStatusOf,
  spawnDetached,
  spawnForeground,
  statusOf,
  waitForStart,
  type DaemonOptions,
} from './process.js';

interface Options extends DaemonOptions {
  foreground?: true;
}

const shownLines = 10;

export function daemonStartCommand(cli: CliContext): Command {
  return declare('start', {
    description: 'start keyvold in the background, and wait until it answers',
    example: 'keyvol daemon start',
    statuses: [6, 8, 9],
  })
    .option('--foreground', 'stay in front, with the log on this terminal')
    .addOption(fuseDriverOption())
    .addOption(holderTimeoutOption())
    .addOption(nbdListenOption())
    .addOption(nbdTlsOption())
    .action((options: Options) => startDaemon(cli, options));
}

export function fuseDriverOption(): Option {
  const drivers = ['native', 'portable', 'none'];
  return new Option('--fuse-driver <driver>', 'how disks appear as files').choices(drivers);
}

export function holderTimeoutOption(): Option {
  return new Option(
    '--holder-timeout <time>',
    'how long disks and mounts outlive a daemon that was killed, and wait for the next one: 90s, 10m (default), 2h',
  );
}

export function nbdListenOption(): Option {
  return new Option(
    '--nbd-listen <address:port>',
    'serve attached disks over NBD to other hosts, too, by TLS only',
  );
}

export function nbdTlsOption(): Option {
  return new Option(
    '--nbd-tls <dir>',
    'for that: server-cert.pem, server-key.pem and ca-cert.pem, or keys.psk',
  );
}

/** Starts the daemon unless it runs, and prints its status. Ends with its exit status if it fails. */
export async function startDaemon(cli: CliContext, options: Options): Promise<void> {
  const directories = await cli.directories();
  const daemon = await cli.connect();
  const running = await statusOf(daemon);
  if (running !== undefined) {
    cli.print(running, ({ pid }) => `keyvold is already running, pid ${String(pid)}`);
    return;
  }
  if (options.foreground) {
    await runForeground(cli, options);
    return;
  }
  const log = logFileOf(directories.stateDir);
  const { endBytes } = readSince(log, 0);
  const child = spawnDetached(directories, options);
  const started = await waitForStart(daemon, child);
  const said = linesOf(readSince(log, endBytes).text);
  if (typeof started === 'number') reportFailure(started, said, log);
  relay(said.filter((line) => line.startsWith('keyvold: warning:')));
  cli.print(started, startedLines);
}

async function runForeground(cli: CliContext, options: Options): Promise<void> {
  const child = spawnForeground(await cli.directories(), options);
  // Ctrl-C reaches the daemon too, which stops in order; what matters is how it ends.
  process.removeAllListeners('SIGINT').on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  throw new EndedWith(await exitStatusOf(child));
}

// The daemon has said why in its own words, which are shaped as ours; unless it crashed, or its log
// is on a full disk.
function reportFailure(exitStatus: number, said: readonly string[], log: string): never {
  const own = said.filter((line) => /^(keyvold: (error|warning):|hint:)/.test(line));
  relay(own);
  if (own.some((line) => line.startsWith('keyvold: error:'))) {
    if (!own.at(-1)?.startsWith('hint:')) relay([`hint: its log is ${log}`]);
    throw new EndedWith(exitStatus);
  }
  relay(said.slice(-shownLines));
  const message = `keyvold ended with status ${String(exitStatus)} before it answered`;
  throw new EndedWith(exitStatus === 0 ? 1 : exitStatus, `its log is ${log}`, message);
}

function relay(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${line.replace(/^keyvold:/, 'keyvol:')}\n`);
}

function startedLines(status: StatusView): string {
  const recovery = status.recovery.map((line) => `  ${line}`);
  return [`started keyvold, pid ${String(status.pid)}`, ...recovery].join('\n');
}
