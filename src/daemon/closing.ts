/** What has been opened so far, to be closed in the opposite order. */
import type { Log } from '../log.js';

interface Step {
  readonly what: string;
  readonly close: () => unknown;
  readonly handOver: () => unknown;
}

/** Either nothing is left of it, or disks and mounts stay for the daemon that starts next. */
export type Ending = 'close' | 'handOver';

export class ClosingSteps {
  readonly #steps: Step[] = [];
  readonly #log: Log;
  #closing: Promise<void> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * `close` runs before those of all earlier steps; `handOver` in its place when another daemon is
   * to go on. `what` names it in the log.
   */
  add(what: string, close: () => unknown, handOver = close): void {
    this.#steps.push({ what, close, handOver });
  }

  /** Runs every step, also when one fails. Safe to repeat: the first time counts. */
  run(ending: Ending): Promise<void> {
    this.#closing ??= this.#runAll(ending);
    return this.#closing;
  }

  async #runAll(ending: Ending): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step[ending]();
      } catch (error) {
        this.#log.error({ err: error, step: step.what }, 'a step of the shutdown failed');
      }
    }
  }
}
