// A real keyvold as a process of its own, in directories of its own, that the end of the test ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../dist/api/client.js';
import type { DaemonClient } from '../../dist/api/types.js';
import { removeMounts } from './mounts.js';
import type { Teardown } from './temp.js';

export const daemonMain = join(import.meta.dirname, '../../dist/daemon/main.js');

export interface DaemonSettings {
  /** Fresh ones, removed at the end of the test, when they are not given. */
  readonly stateDir?: string;
  readonly runtimeDir?: string;
  readonly fuseDriver?: 'native' | 'portable' | 'none';
  readonly env?: Readonly<Record<string, string>>;
  /** More of its command line. */
  readonly args?: readonly string[];
}

export interface DaemonExit {
  readonly status: number | null;
  readonly signal: string | null;
}

export interface TestDaemon {
  readonly client: DaemonClient;
  readonly pid: number;
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly socketPath: string;
  /** All it has written to standard output and standard error so far. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  exit(): Promise<DaemonExit>;
  /** SIGTERM, and waits. */
  stop(): Promise<DaemonExit>;
  /** SIGKILL, and waits. What it leaves in the kernel stays, for a next daemon or the teardown. */
  kill(): Promise<DaemonExit>;
}

export interface DaemonRun extends DaemonExit {
  readonly output: string;
}

/** Starts a daemon and waits until it answers; fails with its output if it ends before that. */
export async function startDaemon(t: Teardown, settings: DaemonSettings = {}): Promise<TestDaemon> {
  const directories = directoriesFor(t, settings);
  const running = new DaemonProcess(directories, settings);
  t.teardown(() => running.kill());
  await running.ready();
  return running;
}

/** Runs a daemon that is expected to end by itself. */
export async function runDaemon(t: Teardown, settings: DaemonSettings = {}): Promise<DaemonRun> {
  const running = new DaemonProcess(directoriesFor(t, settings), settings);
  t.teardown(() => running.kill());
  return { ...(await running.exit()), output: running.output() };
}

type Directories = Required<Pick<DaemonSettings, 'stateDir' | 'runtimeDir'>>;

function directoriesFor(t: Teardown, settings: DaemonSettings): Directories {
  const fresh = () => join(mkdtempSync(join(tmpdir(), 'keyvol-daemon-')), 'd');
  const stateDir = settings.stateDir ?? fresh();
  const runtimeDir = settings.runtimeDir ?? fresh();
  // Teardowns run last first: the daemon is dead by the time its directories go.
  if (settings.runtimeDir === undefined) t.teardown(() => removeMounts(runtimeDir, true));
  if (settings.stateDir === undefined) t.teardown(() => removeMounts(stateDir, true));
  return { stateDir, runtimeDir };
}

class DaemonProcess implements TestDaemon {
  readonly client: DaemonClient;
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly socketPath: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<DaemonExit>;
  #output = '';

  constructor({ stateDir, runtimeDir }: Directories, settings: DaemonSettings) {
    const { fuseDriver, env, args: more = [] } = settings;
    this.stateDir = stateDir;
    this.runtimeDir = runtimeDir;
    this.socketPath = join(runtimeDir, 'api.sock');
    this.client = createClient(this.socketPath);
    const driver = fuseDriver === undefined ? [] : ['--fuse-driver', fuseDriver];
    const places = ['--state-dir', stateDir, '--runtime-dir', runtimeDir];
    const args = [daemonMain, ...places, ...driver, ...more];
    this.#child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // The test runner's own options are not the daemon's.
      env: { ...process.env, NODE_OPTIONS: undefined, ...env },
    });
    const note = (chunk: Buffer) => (this.#output += chunk.toString());
    this.#child.stdout?.on('data', note);
    this.#child.stderr?.on('data', note);
    this.#exit = once(this.#child, 'close').then(([status, signal]: unknown[]) => {
      // The event's two arguments, as child_process documents them.
      return { status: status as number | null, signal: signal as string | null };
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  output(): string {
    return this.#output;
  }

  async ready(): Promise<void> {
    const line = new Promise<boolean>((resolve) => {
      this.#child.stdout?.on('data', () => {
        if (this.#output.includes('keyvold ready: ')) resolve(true);
      });
    });
    const isReady = await Promise.race([line, this.#exit.then(() => false)]);
    if (!isReady) throw new Error(`keyvold ended before it was ready:\n${this.#output}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  exit(): Promise<DaemonExit> {
    return this.#exit;
  }

  stop(): Promise<DaemonExit> {
    this.signal('SIGTERM');
    return this.#exit;
  }

  kill(): Promise<DaemonExit> {
    this.signal('SIGKILL');
    return this.#exit;
  }
}
