/** What the kernel still shows of a filesystem below which nothing answers any more. */
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { MountHost } from '../device/index.js';
import { readMounts } from './mount-table.js';

interface Program {
  readonly pid: number;
  readonly name: string;
}

/** What is being read just then is not dropped, so it is tried again. */
const againAfterMs = [100, 200, 400];
const endWithinMs = 300;
const pollMs = 10;

/**
 * Drops what the kernel has cached of the filesystems on `loops`, and of everything else. What it
 * cannot drop is what programs have mapped: says of each such loop device which those are, after
 * ending them when `killUsers` says so.
 */
export async function clearCaches(
  host: Pick<MountHost, 'dropCaches'>,
  loops: readonly (string | undefined)[],
  killUsers: boolean,
): Promise<Map<string, string>> {
  const wanted = new Set(loops.filter((loop) => loop !== undefined));
  if (wanted.size === 0) return new Map();
  await host.dropCaches();
  const users = await programsThatMap(wanted);
  if (killUsers) await end([...users.values()].flat());
  void dropAgain(host);
  return new Map([...users].map(([loop, programs]) => [loop, noteOn(programs, killUsers)]));
}

async function dropAgain(host: Pick<MountHost, 'dropCaches'>): Promise<void> {
  for (const afterMs of againAfterMs) {
    await setTimeout(afterMs);
    await host.dropCaches().catch(() => undefined);
  }
}

function noteOn(programs: readonly Program[], ended: boolean): string {
  const names = programs.map(({ name, pid }) => `${name} (${pid})`).join(', ');
  if (ended) return `ended the programs that had files of it mapped: ${names}`;
  return `what programs have mapped stays readable to them: ${names}; --kill-users ends them`;
}

async function end(programs: readonly Program[]): Promise<void> {
  for (const { pid } of programs) signal(pid, 'SIGKILL');
  const endMs = performance.now() + endWithinMs;
  while (programs.some(({ pid }) => signal(pid, 0)) && performance.now() < endMs) {
    await setTimeout(pollMs);
  }
}

/** False when there is no such process any more. */
function signal(pid: number, number: 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, number);
  } catch {
    return false;
  }
}

/** By loop device; only of those that some program maps. */
async function programsThatMap(loops: ReadonlySet<string>): Promise<Map<string, Program[]>> {
  const mounts = (await readMounts()).filter(({ source }) => loops.has(source));
  const loopOf = new Map(mounts.map(({ device, source }) => [mapsNameOf(device), source]));
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = new Map<string, Program[]>();
  await Promise.all(
    pids.map(async (pid) => {
      for (const loop of await loopsMappedBy(pid, loopOf)) {
        const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
        found.set(loop, [...(found.get(loop) ?? []), { pid: Number(pid), name }]);
      }
    }),
  );
  return found;
}

/** proc_pid_maps(5): "7f1c… r--s 00000000 07:03 12 /mnt/file". */
async function loopsMappedBy(
  pid: string,
  loopOf: ReadonlyMap<string, string>,
): Promise<Set<string>> {
  // It may have ended, or be a kernel thread.
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  const devices = new Set(maps.split('\n').map((line) => line.split(' ', 4)[3] ?? ''));
  return new Set([...devices].flatMap((device) => loopOf.get(device) ?? []));
}

/** "7:12" of a mount is "07:0c" of a mapping. */
function mapsNameOf(device: string): string {
  return device
    .split(':')
    .map((number) => Number(number).toString(16).padStart(2, '0'))
    .join(':');
}
