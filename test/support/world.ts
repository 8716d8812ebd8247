/** A daemon of its own in a temporary directory, driven as a user drives it: by the CLI. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const daemon = fileURLToPath(new URL('../../dist/daemon/main.js', import.meta.url));

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; never throws for its exit status. */
export async function command(file: string, ...args: string[]): Promise<CommandResult> {
  try {
    const { stdout, stderr } = await run(file, args, { maxBuffer: 1 << 26 });
    return { status: 0, stdout, stderr };
  } catch (error) {
    // execFile rejects with the child's streams and exit code beside the message.
    const failed = error as { code?: unknown; stdout?: string; stderr?: string };
    const status = typeof failed.code === 'number' ? failed.code : -1;
    return { status, stdout: failed.stdout ?? '', stderr: failed.stderr ?? String(error) };
  }
}

/** Runs a program that must succeed, and returns what it printed. */
export async function must(file: string, ...args: string[]): Promise<string> {
  const result = await command(file, ...args);
  if (result.status !== 0) {
    throw new Error(`${file} ${args.join(' ')} gave ${String(result.status)}: ${result.stderr}`);
  }
  return result.stdout;
}

export class World {
  readonly stateDir: string;
  readonly runtimeDir: string;

  constructor(
    readonly directory: string,
    stateDir = join(directory, 'state'),
  ) {
    this.stateDir = stateDir;
    this.runtimeDir = join(directory, 'run');
  }

  /** `keyvol …`, whatever its exit status. */
  async try(...args: string[]): Promise<CommandResult> {
    return await command(process.execPath, ...this.#argv(args));
  }

  /** `keyvol …`, which must exit 0; what it printed. */
  async keyvol(...args: string[]): Promise<string> {
    return await must(process.execPath, ...this.#argv(args));
  }

  /** `keyvol … --json`, parsed. The caller knows the view's type. */
  async json<View>(...args: string[]): Promise<View> {
    return JSON.parse(await this.keyvol(...args, '--json')) as View;
  }

  async start(): Promise<void> {
    await this.keyvol('daemon', 'start');
  }

  /** Starts keyvold as a supervisor does, as a program; its process id once it answers. */
  async respawn(): Promise<number> {
    const args = ['--state-dir', this.stateDir, '--runtime-dir', this.runtimeDir];
    const child = spawn(daemon, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = once(child, 'exit').then(() => false);
    const isReady = await Promise.race([once(child.stdout, 'data').then(() => true), ended]);
    child.unref();
    child.stdout.destroy();
    if (!isReady || child.pid === undefined) throw new Error('the daemon does not start');
    return child.pid;
  }

  /** The daemon's process id. */
  async pid(): Promise<number> {
    return (await this.json<{ pid: number }>('status')).pid;
  }

  /** kill -9, and waits until the process is gone. */
  async kill(pid: number): Promise<void> {
    process.kill(pid, 'SIGKILL');
    while (await isRunning(pid)) await sleep(5);
  }

  /** A new volume with a new filesystem; the directory it is mounted on. */
  async mountNew(name: string, size: string, filesystem: string): Promise<string> {
    const directory = join(this.directory, `mnt-${name}`);
    await mkdir(directory);
    await this.keyvol('volume', 'create', name, '--size', size);
    await this.keyvol('volume', 'mount', name, directory, '--mkfs', filesystem);
    return directory;
  }

  volumePath(name: string): string {
    return join(this.runtimeDir, 'disks', 'volumes', name);
  }

  imagePath(name: string): string {
    return join(this.runtimeDir, 'disks', 'images', name);
  }

  layersPath(): string {
    return join(this.stateDir, 'layers');
  }

  #argv(args: string[]): string[] {
    return [cli, '--state-dir', this.stateDir, '--runtime-dir', this.runtimeDir, ...args];
  }
}

/** A started world that `t` stops and removes at its end. */
export async function startWorld(t: Test): Promise<World> {
  const world = new World(await mkdtemp(join(tmpdir(), 'keyvol-e2e-')));
  t.teardown(async () => {
    const stopped = await world.try('daemon', 'stop');
    if (stopped.status !== 0) throw new Error(`the daemon did not stop: ${stopped.stderr}`);
    await rm(world.directory, { recursive: true, force: true });
  });
  await world.start();
  return world;
}

/** Starts a script of test/support in a Node process of its own, its stdin and stdout piped. */
export function startScript(name: string, ...args: string[]): ChildProcess {
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  return spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** A killed process that its parent has not reaped yet no longer runs. */
async function isRunning(pid: number): Promise<boolean> {
  if (!existsSync(`/proc/${String(pid)}`)) return false;
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => ') Z');
  return !/\) [ZX]/.test(stat);
}
