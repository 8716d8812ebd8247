/** A memory control group (version 1). */
import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Teardown } from './temp.js';
import { eventually } from './wait.js';

const root = '/sys/fs/cgroup/memory';

/** False, or why a test that needs one cannot run. */
export const noMemoryLimit = existsSync(join(root, 'memory.limit_in_bytes'))
  ? false
  : 'needs memory control groups of version 1';

export class MemoryLimit {
  readonly #directory: string;

  /** Removed at the end of the test, when all that is in it has ended. */
  constructor(t: Teardown, limitBytes: number) {
    this.#directory = mkdtempSync(join(root, 'keyvol-'));
    t.teardown(async () => {
      await eventually(() => this.#read('cgroup.procs') === '');
      rmdirSync(this.#directory);
    });
    this.#write('memory.limit_in_bytes', String(limitBytes));
  }

  /** Limits a process, and what it starts, from now on. */
  add(pid: number): void {
    this.#write('cgroup.procs', String(pid));
  }

  /** How often it was reached, and pages had to be given back. */
  get timesReached(): number {
    return Number(this.#read('memory.failcnt'));
  }

  /** How many processes the kernel has killed for it. */
  get kills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#read('memory.oom_control'))?.[1]);
  }

  #read(file: string): string {
    return readFileSync(join(this.#directory, file), 'utf8');
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.#directory, file), text);
  }
}
