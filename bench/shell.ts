/** Runs other programs, and keeps what was run for the report. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const pollMs = 10;
const startWithinMs = 20_000;

/** What is run, each command once, with names in place of directories. */
export class CommandLog {
  readonly commands = new Set<string>();
  readonly #names: [directory: string, name: string][] = [];

  /** From now on `directory` is written as `name`. */
  name(directory: string, name: string): void {
    this.#names.unshift([directory, name]);
  }

  add(file: string, args: readonly string[]): void {
    const shown = file === 'fio' ? args.map(withoutFileName) : args;
    const words = [file, ...shown].map((word) => (/[\s*?$;|&]/.test(word) ? `'${word}'` : word));
    this.commands.add(this.readable(words.join(' ')));
  }

  readable(text: string): string {
    return this.#names.reduce((line, [directory, name]) => line.replaceAll(directory, name), text);
  }
}

export class Shell {
  readonly log = new CommandLog();
  readonly #env: NodeJS.ProcessEnv;

  /** What is started carries `mark` in its environment, and works in `directory`. */
  constructor(
    private readonly directory: string,
    mark: string,
  ) {
    this.#env = { ...process.env, KEYVOL_MARK: mark };
  }

  /** What the program printed. Throws with its last words when it fails. */
  async run(file: string, ...args: string[]): Promise<string> {
    this.log.add(file, args);
    return await this.ask(file, ...args);
  }

  /** As `run`, for what belongs in no report. */
  async ask(file: string, ...args: string[]): Promise<string> {
    const options = { cwd: this.directory, env: this.#env, maxBuffer: 1 << 26 };
    try {
      return (await run(file, args, options)).stdout;
    } catch (cause) {
      // execFile rejects with the child's streams beside the message.
      const { stderr = '', stdout = '' } = cause as { stderr?: string; stdout?: string };
      const words = (stderr.trim() || stdout.trim() || String(cause)).slice(-600);
      throw new Error(`${file} failed: ${words}`, { cause });
    }
  }

  /** A program that runs until `stop`; resolves when `mountPoint` is mounted. */
  async serve(mountPoint: string, file: string, ...args: string[]): Promise<ChildProcess> {
    return await this.#serve(() => mounted(mountPoint), file, args);
  }

  /** A program that runs until `stop`; resolves when `socket` is there. */
  async listen(socket: string, file: string, ...args: string[]): Promise<ChildProcess> {
    return await this.#serve(() => existsSync(socket), file, args);
  }

  async #serve(
    isReady: () => boolean,
    file: string,
    args: readonly string[],
  ): Promise<ChildProcess> {
    this.log.add(file, args);
    const stdio: 'ignore'[] = ['ignore', 'ignore'];
    const child = spawn(file, args, {
      cwd: this.directory,
      env: this.#env,
      stdio: [...stdio, 'pipe'],
    });
    const words: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => words.push(chunk));
    child.on('error', (error) => words.push(Buffer.from(error.message)));
    const isServing = await waitUntil(() => hasEnded(child) || isReady());
    if (!isServing || hasEnded(child)) {
      await stop(child);
      throw new Error(`${file} does not serve: ${Buffer.concat(words).toString().slice(-600)}`);
    }
    return child;
  }
}

/** Ends a program that was asked to; kills it when it does not. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const killing = setTimeout(() => child.kill('SIGKILL'), startWithinMs);
  await ended;
  clearTimeout(killing);
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Jobs differ in all but the file they run on, of which the report has no use. */
function withoutFileName(word: string): string {
  return word.replace(/^--(filename|uri)=.*/, '--$1=$DISK');
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

function mounted(path: string): boolean {
  return readFileSync('/proc/self/mounts', 'utf8').includes(` ${path} `);
}

async function waitUntil(condition: () => boolean): Promise<boolean> {
  const deadlineMs = performance.now() + startWithinMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) return false;
    await sleep(pollMs);
  }
  return true;
}
