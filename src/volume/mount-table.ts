/** The kernel's mounts and loop devices, as /proc and /sys show them. */
import { readFile, readdir, realpath } from 'node:fs/promises';
import { sep } from 'node:path';

export interface MountEntry {
  /** "7:3", of its superblock. */
  readonly device: string;
  readonly directory: string;
  readonly filesystem: string;
  readonly source: string;
}

export interface LoopEntry {
  /** "/dev/loop3". */
  readonly device: string;
  /** As the kernel shows it, with " (deleted)" taken off. */
  readonly backingFile: string;
}

/** In mount order: what is mounted over something comes after it. */
export async function readMounts(): Promise<MountEntry[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text.split('\n').flatMap(parseMountLine);
}

/** proc_pid_mountinfo(5): "36 35 98:0 /root /dir options optional… - type source superoptions". */
function parseMountLine(line: string): MountEntry[] {
  const [front, back] = line.split(' - ');
  const [, , device, , directory] = front?.split(' ') ?? [];
  const [filesystem, source] = back?.split(' ') ?? [];
  if (device === undefined || directory === undefined) return [];
  if (filesystem === undefined || source === undefined) return [];
  return [{ device, directory: unescape(directory), filesystem, source: unescape(source) }];
}

/** The kernel writes space, tab, newline and backslash as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}

export async function readLoops(): Promise<LoopEntry[]> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const entries = await Promise.all(names.map(readLoop));
  return entries.flat();
}

async function readLoop(name: string): Promise<LoopEntry[]> {
  try {
    const text = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8');
    const backingFile = text.trimEnd().replace(/ \(deleted\)$/, '');
    return [{ device: `/dev/${name}`, backingFile }];
  } catch {
    // The device has no file: there is no such attribute then.
    return [];
  }
}

export function isInside(path: string, directory: string): boolean {
  return (
    path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep)
  );
}

/** The kernel shows paths without symbolic links; a path that does not exist stays as it is. */
export function realPathOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
