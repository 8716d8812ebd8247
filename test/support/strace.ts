/** strace on a running process, for the faults and delays that it injects. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from './world.js';

const patienceMs = 1000;

export interface Tracing {
  /** The process goes on as it was. */
  readonly end: () => Promise<void>;
}

/**
 * From here on what `inject` says happens to every thread of the process ("fsync:error=EIO"), with
 * `path` only to calls that name it or have it open.
 */
export async function traceProcess(pid: number, inject: string, path?: string): Promise<Tracing> {
  const [call = ''] = inject.split(':');
  const options = ['-e', `trace=${call}`, '-e', `inject=${inject}`];
  if (path !== undefined) options.push('-P', path);
  return attach(pid, [...options, '-o', '/dev/null']);
}

/** The system calls of this name that the process makes during `work`, as strace writes them. */
export async function callsDuring(
  pid: number,
  call: string,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'keyvol-strace-'));
  const output = join(directory, 'calls');
  try {
    const tracing = await attach(pid, ['-e', `trace=${call}`, '-o', output]);
    await work().finally(tracing.end);
    const lines = (await readFile(output, 'utf8')).split('\n');
    return lines.filter((line) => line.includes(`${call}(`));
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function attach(pid: number, options: readonly string[]): Promise<Tracing> {
  const target = ['-f', '-qq', '-p', String(pid)];
  const strace = spawn('strace', [...options, ...target], { stdio: 'ignore' });
  while (!(await isTraced(pid))) {
    if (strace.exitCode !== null) throw new Error(`strace refuses ${options.join(' ')}`);
    await sleep(20);
  }
  const end = async (): Promise<void> => {
    const ended = once(strace, 'exit');
    strace.kill();
    // Asked to end, it waits for threads, which may wait for what it holds up.
    const patience = setTimeout(() => strace.kill('SIGKILL'), patienceMs);
    if (strace.exitCode === null && strace.signalCode === null) await ended;
    clearTimeout(patience);
  };
  return { end };
}

async function isTraced(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const states = await Promise.all(
    // A thread that has ended meanwhile is no longer of interest.
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/status`, 'utf8').catch(() => '')),
  );
  return states.every((status) => !/TracerPid:\s+0$/m.test(status));
}
