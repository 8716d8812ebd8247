/** The daemon as a process: whether it runs, how it is started, when it has ended. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Directories } from '../../api/directories.js';
import type { DaemonClient, StatusView } from '../../api/types.js';
import { Fault } from '../../fault.js';
import { logFileOf } from './log-file.js';

const pollMs = 25;
/** An exit status of keyvol-holder --release. */
const nobodyListens = 3;
/** A socket may outlive its daemon: a killed one that cannot end accepts, and never answers. */
const answersWithinMs = 3000;

/** What the daemon is told on its command line beside its directories. */
export interface DaemonOptions {
  readonly fuseDriver?: string;
  readonly holderTimeout?: string;
  readonly nbdListen?: string;
  readonly nbdTls?: string;
}

/** The status of the daemon, or undefined if none answers in time. */
export async function statusOf(daemon: DaemonClient): Promise<StatusView | undefined> {
  try {
    return await Promise.race([daemon.status(), sleep(answersWithinMs, undefined, { ref: false })]);
  } catch (error) {
    if (error instanceof Fault && error.code === 'DAEMON_UNREACHABLE') return undefined;
    throw error;
  }
}

/** Starts the daemon so that it outlives this process, its output appended to its log. */
export function spawnDetached(directories: Directories, options: DaemonOptions): ChildProcess {
  const log = openLog(directories.stateDir);
  try {
    const child = spawn(process.execPath, daemonArguments(directories, options), {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** Starts the daemon on this terminal. */
export function spawnForeground(directories: Directories, options: DaemonOptions): ChildProcess {
  return spawn(process.execPath, daemonArguments(directories, options), { stdio: 'inherit' });
}

/**
 * Ends the holder of a mount whose daemon was killed; true when there was one. Throws BUSY while
 * disks of the mount are open.
 */
export function releaseHolder({ runtimeDir }: Directories): boolean {
  const program = fileURLToPath(new URL('../../../build/Release/keyvol-holder', import.meta.url));
  const socketPath = path.join(runtimeDir, 'holder.sock');
  const { status, stderr } = spawnSync(program, ['--release', socketPath], { encoding: 'utf8' });
  if (status === 0) return true;
  if (status === nobodyListens) return false;
  const why = stderr.trim().replace(/^keyvol-holder: error: /, '');
  throw new Fault('BUSY', `disks of a killed daemon are in use: ${why}`, {
    hint: 'keyvol daemon start, then keyvol daemon stop',
  });
}

function daemonArguments({ stateDir, runtimeDir }: Directories, options: DaemonOptions): string[] {
  const main = fileURLToPath(new URL('../../daemon/main.js', import.meta.url));
  const { fuseDriver, holderTimeout, nbdListen, nbdTls } = options;
  const given = Object.entries({
    '--fuse-driver': fuseDriver,
    '--holder-timeout': holderTimeout,
    '--nbd-listen': nbdListen,
    '--nbd-tls': nbdTls,
  }).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  return [main, '--state-dir', stateDir, '--runtime-dir', runtimeDir, ...given];
}

function openLog(stateDir: string): number {
  const file = logFileOf(stateDir);
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    return openSync(file, 'a', 0o600);
  } catch (error) {
    throw unusable(stateDir, error);
  }
}

function unusable(stateDir: string, cause: unknown): Fault {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  const message = `state directory ${stateDir} cannot be written: ${reason}`;
  if (reason === 'ENOSPC' || reason === 'EDQUOT') return new Fault('NO_SPACE', message, { cause });
  const hint = 'choose another one with --state-dir';
  return new Fault('STATE_DIR_UNUSABLE', message, { cause, hint });
}

/**
 * Waits until the daemon answers or `child` has ended. Answers its status, or the exit status of
 * `child`.
 */
export async function waitForStart(
  daemon: DaemonClient,
  child: ChildProcess,
): Promise<StatusView | number> {
  const ended = exitStatusOf(child);
  for (;;) {
    const status = await statusOf(daemon);
    if (status !== undefined && status.pid === child.pid) return status;
    const exitStatus = await Promise.race([ended, sleep(pollMs, undefined)]);
    if (exitStatus !== undefined) return exitStatus;
  }
}

/** The status with which `child` ends; 1 when a signal ended it. */
export function exitStatusOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      resolve(code ?? 1);
    });
  });
}

/** Answers whether the process has ended within `timeoutMs`. */
export async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    if (performance.now() > deadlineMs) return false;
    await sleep(pollMs);
  }
  return true;
}

function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    // What follows the command name in parentheses, which may hold anything (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, threads] = [fields[0], Number(fields[17])];
    // A zombie holds nothing any more, unless other threads of the process are still there.
    return !(state === 'Z' || state === 'X') || threads > 1;
  } catch {
    return false;
  }
}
