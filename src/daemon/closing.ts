/** What has been opened so far, to be closed in the opposite order. */
import type { Log } from '../log.js';

interface Step {
  readonly what: string;
  readonly close: () => unknown;
}

export class ClosingSteps {
  readonly #steps: Step[] = [];
  readonly #log: Log;
  #closing: Promise<void> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `close` runs before those of all earlier steps. `what` names it in the log. */
  add(what: string, close: () => unknown): void {
    this.#steps.push({ what, close });
  }

  /** Runs every step, also when one fails. Safe to repeat. */
  run(): Promise<void> {
    this.#closing ??= this.#runAll();
    return this.#closing;
  }

  async #runAll(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.close();
      } catch (error) {
        this.#log.error({ err: error, step: step.what }, 'a step of the shutdown failed');
      }
    }
  }
}
