/** What processes have used, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ of proc(5), which is 100 on every Linux that runs this. */
const ticksPerSecond = 100;

/** User and system time so far, of all threads and of children that were waited for. */
export function cpuSeconds(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    // The second field, the name, may hold blanks and brackets.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  });
  return sumOf(ticks) / ticksPerSecond;
}

/** The most that each was resident with, together. */
export function peakMib(pids: readonly number[]): number {
  return sumOf(pids.map((pid) => statusMib(pid, 'VmHWM')));
}

export function residentMib(pids: readonly number[]): number {
  return sumOf(pids.map((pid) => statusMib(pid, 'VmRSS')));
}

/** What is theirs alone now: without the pages of files, which the page cache holds anyway. */
export function ownMib(pids: readonly number[]): number {
  return sumOf(pids.map((pid) => statusMib(pid, 'RssAnon')));
}

/** The processes with this text in their command lines. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && commandLineOf(pid).includes(text));
}

function statusMib(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
