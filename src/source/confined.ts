/** A program that reads one foreign image, and can reach nothing else of the host. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, realpathSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { Addon } from '../device/index.js';
import { Fault } from '../fault.js';

const run = promisify(execFile);
/** A fixed path: the daemon's own environment is not to choose the programs. */
const directories = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const env = { PATH: directories.join(':'), LC_ALL: 'C' };
/** Of address space, which bounds what it can take of memory. */
const memoryBytes = 2 ** 30;
/** Of each of its threads, of which there may be 64. */
const stackBytes = 2 ** 20;
const leastCpuSeconds = 5;
/** Of what is read: the slowest decompression there is is faster. */
const bytesPerCpuSecond = 16 * 2 ** 20;
const mostSaidBytes = 16384;

export interface Confinement {
  readonly addon: Pick<Addon, 'connectedListener'>;
  /** For a socket that has a name only while it is made. */
  readonly runtimeDir: string;
}

export interface ForeignFile {
  /** Its descriptor. */
  readonly file: number;
  /** QEMU's name of its format. */
  readonly driver: string;
  /** Of the disk in it, for limits. */
  readonly contentBytes: number;
}

export interface ConfinedReader {
  /** A socket to it; `end` closes it. */
  readonly socket: number;
  /** What it has complained of last. */
  said(): string;
  kill(): void;
  /** Kills it, and waits until it is gone. The caller uses the socket no more. */
  end(): Promise<void>;
}

/**
 * Starts qemu-nbd on an open file, whose format `driver` is: in namespaces of its own, without
 * network, capabilities or any file but its own libraries and this one, under limits of memory and
 * of processor time. Throws UNSUPPORTED where the host has not what this takes.
 */
export async function startReader(
  { addon, runtimeDir }: Confinement,
  { file, driver, contentBytes }: ForeignFile,
): Promise<ConfinedReader> {
  const args = ['--read-only', imageArgument(driver)];
  const command = await confined('qemu-nbd', args, cpuSecondsFor(contentBytes));
  const path = join(runtimeDir, `i-${randomBytes(4).toString('hex')}`);
  const { listener, client } = addon.connectedListener(path);
  try {
    return new Reader(start(command, 'ignore', listener, file), client);
  } catch (error) {
    closeSync(client);
    throw error;
  } finally {
    closeSync(listener);
  }
}

/** What qemu-img says about the image's own tables, as confined. */
export async function checkImage(
  { file, driver }: Pick<ForeignFile, 'file' | 'driver'>,
  fileBytes: number,
  signal?: AbortSignal,
): Promise<{ readonly status: number; readonly said: string }> {
  const args = ['check', '-q', imageArgument(driver)];
  const child = start(
    // Not of the size that the image says it has: that may be anything.
    await confined('qemu-img', args, cpuSecondsFor(fileBytes)),
    'pipe',
    'ignore',
    file,
  );
  const said = wordsOf(child, child.stdout, child.stderr);
  const stop = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', stop);
  if (signal?.aborted === true) stop();
  const status = await statusOf(child);
  signal?.removeEventListener('abort', stop);
  return { status, said: said() };
}

/**
 * Decompresses an open file to the child's stdout, confined as a reader is. The caller ends it with
 * SIGKILL when it wants no more.
 */
export async function startDecompressor(
  { program, debianPackage }: Decompressor,
  file: number,
  cpuSeconds: number,
): Promise<ChildProcess> {
  const command = await confined(program, ['-dc', imagePath], cpuSeconds, debianPackage);
  return start(command, 'pipe', 'ignore', file);
}

export interface Decompressor {
  readonly program: string;
  readonly debianPackage: string;
}

interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

async function confined(
  name: string,
  args: readonly string[],
  cpuSeconds: number,
  debianPackage = 'qemu-utils',
): Promise<Command> {
  const [program, bwrap, prlimit] = await Promise.all([
    findProgram(name, debianPackage),
    findProgram('bwrap', 'bubblewrap'),
    findProgram('prlimit', 'util-linux'),
  ]);
  const walls = sandbox(program, await librariesOf(program));
  return { program: prlimit, args: [...limits(cpuSeconds), bwrap, ...walls, program, ...args] };
}

function start(
  { program, args }: Command,
  stdout: 'ignore' | 'pipe',
  socket: number | 'ignore',
  file: number,
): ChildProcess {
  const stdio = ['ignore', stdout, 'pipe', socket, file] as const;
  return spawn(program, args, { env, cwd: '/', stdio: [...stdio] });
}

/** What it has written first. One that does not stop to complain is ended. */
export function wordsOf(child: ChildProcess, ...streams: (Readable | null)[]): () => string {
  let said = '';
  let saidBytes = 0;
  for (const stream of streams) {
    stream?.setEncoding('latin1').on('data', (text: string) => {
      saidBytes += text.length;
      if (saidBytes > mostSaidBytes) child.kill('SIGKILL');
      else said += text;
    });
  }
  return () => said;
}

/** 128 and more where it was killed. */
export function statusOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('close', (code) => resolve(code ?? 128));
    child.once('error', () => resolve(128));
  });
}

function cpuSecondsFor(bytes: number): number {
  return leastCpuSeconds + Math.ceil(bytes / bytesPerCpuSecond);
}

function limits(cpuSeconds: number): string[] {
  const memory = [`--as=${memoryBytes}`, `--stack=${stackBytes}`];
  return [...memory, `--cpu=${cpuSeconds}`, '--fsize=0', '--core=0', '--nofile=64'];
}

/** The descriptors 3 and 4 are the socket, where it looks for one, and the image. */
function sandbox(program: string, libraries: readonly string[]): string[] {
  const namespaces = ['user', 'ipc', 'pid', 'net', 'uts'].map((name) => `--unshare-${name}`);
  const files = [program, ...libraries].flatMap((file) => ['--ro-bind', realpathSync(file), file]);
  return [
    ...namespaces,
    ...['--unshare-cgroup-try', '--uid', '65534', '--gid', '65534', '--cap-drop', 'ALL'],
    ...['--die-with-parent', '--new-session', '--as-pid-1', '--clearenv'],
    ...['--setenv', 'LISTEN_PID', '1', '--setenv', 'LISTEN_FDS', '1'],
    // Each further arena would take 128 MiB of address space.
    ...['--setenv', 'MALLOC_ARENA_MAX', '1'],
    ...files,
    ...['--ro-bind-fd', '4', imagePath, '--chdir', '/', '--remount-ro', '/', '--'],
  ];
}

const imagePath = '/image';

/** No file that the image names is ever opened: the backing file is none, whatever it says. */
function imageArgument(driver: string): string {
  const file = { driver: 'file', filename: imagePath };
  const backing = driver === 'qcow2' || driver === 'qcow' || driver === 'vmdk';
  return `json:${JSON.stringify({ driver, ...(backing ? { backing: null } : {}), file })}`;
}

async function findProgram(name: string, debianPackage: string): Promise<string> {
  for (const directory of directories) {
    const path = join(directory, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new Fault('UNSUPPORTED', `this file cannot be imported here: there is no ${name}`, {
    hint: `apt install ${debianPackage}`,
  });
}

const known = new Map<string, Promise<readonly string[]>>();

/** As its loader finds them, the loader included. Once for the life of the process. */
function librariesOf(program: string): Promise<readonly string[]> {
  const libraries = known.get(program) ?? findLibraries(program);
  known.set(program, libraries);
  libraries.catch(() => known.delete(program));
  return libraries;
}

async function findLibraries(program: string): Promise<readonly string[]> {
  const { stdout } = await run(program, [], { env: { ...env, LD_TRACE_LOADED_OBJECTS: '1' } });
  return stdout.split('\n').flatMap((line) => /(?:^\s*|=> )(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

class Reader implements ConfinedReader {
  readonly socket: number;
  readonly said: () => string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;

  constructor(child: ChildProcess, socket: number) {
    this.#child = child;
    this.socket = socket;
    this.said = wordsOf(child, child.stderr);
    this.#ended = statusOf(child);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.kill();
    await this.#ended;
    closeSync(this.socket);
  }
}
