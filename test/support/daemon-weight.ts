/** What a daemon holds of the machine, to see that it does not grow. */
import { readdirSync, readFileSync } from 'node:fs';
import { loopsBelow, mountsOf } from './mounts.js';

export interface Weight {
  /** Without the pages of containers that it has mapped, which the page cache holds anyway. */
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
    residentBytes: (field('VmRSS') - mappedKib(pid)) * 1024,
    descriptors: readdirSync(`/proc/${String(pid)}/fd`).length,
    threads: field('Threads'),
    mounts: mountsOf(directory).length,
    loops: loopsBelow(directory).length,
  };
}

/** Of containers, resident, of proc_pid_smaps(5): "7f1c… r--s 00000000 08:01 12 /…/1.luks". */
function mappedKib(pid: number): number {
  const smaps = readFileSync(`/proc/${String(pid)}/smaps`, 'utf8');
  const containers = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter(isOfContainer);
  return containers.reduce((sum, text) => sum + Number(/^Rss:\s+(\d+)/m.exec(text)?.[1]), 0);
}

const isOfContainer = (mapping: string): boolean => /^.*\.luks( \(deleted\))?$/m.test(mapping);
