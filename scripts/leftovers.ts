/**
 * What a run (a test file, the quickstart) left on the machine: processes, mounts, loop devices,
 * files. A run gets a temporary directory and an environment mark of its own, so that what others
 * do is never blamed on it, and what it started is found however far it was detached.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Where a run works: every process that it starts carries `KEYVOL_MARK=<mark>`. */
export interface RunPlace {
  readonly mark: string;
  readonly directory: string;
}

export interface Leftovers {
  readonly processes: readonly { pid: number; command: string }[];
  /** Deepest first, so that they can be unmounted in this order. */
  readonly mounts: readonly string[];
  readonly loops: readonly string[];
  readonly files: readonly string[];
}

export function findLeftovers(place: RunPlace): Leftovers {
  return {
    processes: processesOf(place.mark),
    mounts: mountsBelow(place.directory),
    loops: loopsBackedBelow(place.directory),
    files: existsSync(place.directory) ? readdirSync(place.directory) : [],
  };
}

/** One line a left-over; empty when the machine is as it was. */
export function describeLeftovers(left: Leftovers): string[] {
  return [
    ...left.processes.map(({ pid, command }) => `process ${pid}: ${command}`),
    ...left.mounts.map((mount) => `mount ${mount}`),
    ...left.loops.map((loop) => `loop device ${loop}`),
    ...left.files.map((file) => `file ${file}`),
  ];
}

/** Takes away what was left, and the run's directory, so that the next run is not harmed by it. */
export function removeLeftovers(place: RunPlace, left: Leftovers): void {
  for (const { pid } of left.processes) kill(pid);
  for (const mount of left.mounts) spawnSync('umount', ['--lazy', mount]);
  for (const loop of left.loops) spawnSync('losetup', ['--detach', loop]);
  // Deleting through a mount that would not go away could reach someone else's files.
  if (mountsBelow(place.directory).length > 0) return;
  rmSync(place.directory, { recursive: true, force: true });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

function processesOf(mark: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readProc(pid, 'environ').split('\0').includes(`KEYVOL_MARK=${mark}`))
    .map((pid) => ({ pid: Number(pid), command: readProc(pid, 'cmdline').replaceAll('\0', ' ') }));
}

/** Empty for processes that ended and for those of other users. */
function readProc(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((mount) => mount === directory || mount.startsWith(`${directory}/`))
    .reverse();
}

/** The kernel writes blanks in paths as \040. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
}

function loopsBackedBelow(directory: string): string[] {
  return readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .filter((name) => backingFileOf(name).startsWith(`${directory}/`))
    .map((name) => `/dev/${name}`);
}

function backingFileOf(loop: string): string {
  const path = join('/sys/block', loop, 'loop/backing_file');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
