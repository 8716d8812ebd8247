/** strace on a running process, for the faults and delays that it injects. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
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
  const target = ['-f', '-qq', '-o', '/dev/null', '-p', String(pid)];
  const strace = spawn('strace', [...options, ...target], { stdio: 'ignore' });
  while (!(await isTraced(pid))) {
    if (strace.exitCode !== null) throw new Error(`strace cannot inject ${inject}`);
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
