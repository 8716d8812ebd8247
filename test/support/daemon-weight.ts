/** What a daemon holds of the machine, to see that it does not grow. */
import { readdirSync, readFileSync } from 'node:fs';
import { loopsBelow, mountsOf } from './mounts.js';

export interface Weight {
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly mounts: number;
  readonly loops: number;
}

/** Of the process `pid` and of what is mounted below `directory`. */
export function weigh(pid: number, directory: string): Weight {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    residentBytes: field('VmRSS') * 1024,
    descriptors: readdirSync(`/proc/${String(pid)}/fd`).length,
    threads: field('Threads'),
    mounts: mountsOf(directory).length,
    loops: loopsBelow(directory).length,
  };
}
