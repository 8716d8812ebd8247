/** Work that a deadline waits for goes before what else wants the processors. */
import { readdirSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/**
 * Of all of this process's threads, those that serve the disks too, for as long as any such work
 * runs. Without the right to it (CAP_SYS_NICE) the work goes on as it is.
 */
export class Haste {
  readonly #usual = getPriority();
  #running = 0;

  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#running += 1;
    if (this.#running === 1) setPriorities(constants.priority.PRIORITY_HIGHEST);
    try {
      return await work();
    } finally {
      this.#running -= 1;
      if (this.#running === 0) setPriorities(this.#usual);
    }
  }
}

/** setpriority(2) on Linux is of one thread; those that it starts inherit from it. */
function setPriorities(priority: number): void {
  for (const thread of threads()) {
    try {
      setPriority(Number(thread), priority);
    } catch {
      // It has ended, or we may not.
    }
  }
}

/** None when no file can be opened: the work must go on. */
function threads(): string[] {
  try {
    return readdirSync('/proc/self/task');
  } catch {
    return [];
  }
}
