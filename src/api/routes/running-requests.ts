/** The requests that have been taken and not yet answered. */
import type { ServerResponse } from 'node:http';

export class RunningRequests {
  #count = 0;
  #whenNone: (() => void)[] = [];

  /** Counts a request until its response has been sent or cut. */
  add(response: ServerResponse): void {
    this.#count++;
    response.once('close', () => {
      this.#count--;
      if (this.#count === 0) this.#tellNone();
    });
  }

  /** Resolves when no request runs. */
  none(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenNone.push(resolve));
  }

  #tellNone(): void {
    for (const tell of this.#whenNone.splice(0)) tell();
  }
}
