/** One reader/writer lock a key: uses of a key share it, a change of its state has it alone. */

interface Waiter {
  readonly exclusive: boolean;
  readonly start: () => void;
}

/** First come, first served, so that a waiting change is never starved by new uses. */
class KeyLock {
  #readers = 0;
  #writing = false;
  readonly #queue: Waiter[] = [];

  acquire(exclusive: boolean): Promise<void> {
    return new Promise((start) => {
      this.#queue.push({ exclusive, start });
      this.#admit();
    });
  }

  release(exclusive: boolean): void {
    if (exclusive) this.#writing = false;
    else this.#readers--;
    this.#admit();
  }

  get idle(): boolean {
    return !this.#writing && this.#readers === 0 && this.#queue.length === 0;
  }

  #admit(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#writing || (next.exclusive && this.#readers > 0)) return;
      this.#queue.shift();
      if (next.exclusive) this.#writing = true;
      else this.#readers++;
      next.start();
    }
  }
}

/** Locks by key id. None may be taken again by the work that holds it. */
export class KeyLocks {
  readonly #locks = new Map<string, KeyLock>();

  shared<Result>(keyId: string, work: () => Promise<Result>): Promise<Result> {
    return this.#hold(keyId, false, work);
  }

  exclusive<Result>(keyId: string, work: () => Promise<Result>): Promise<Result> {
    return this.#hold(keyId, true, work);
  }

  async #hold<Result>(
    keyId: string,
    exclusive: boolean,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const lock = this.#locks.get(keyId) ?? new KeyLock();
    this.#locks.set(keyId, lock);
    await lock.acquire(exclusive);
    try {
      return await work();
    } finally {
      lock.release(exclusive);
      if (lock.idle) this.#locks.delete(keyId);
    }
  }
}
