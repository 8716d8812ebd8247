/** Verbs on one thing run one after the other; verbs on different things do not wait. */
export class Locks {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` while it alone holds all of `names`. Not to be nested with other names. */
  async run<Result>(names: readonly string[], work: () => Promise<Result>): Promise<Result> {
    // One order for everyone, so that two callers never wait for each other.
    const releases: (() => void)[] = [];
    for (const name of [...new Set(names)].sort()) releases.push(await this.#acquire(name));
    try {
      return await work();
    } finally {
      for (const release of releases) release();
    }
  }

  async #acquire(name: string): Promise<() => void> {
    const before = this.#tails.get(name) ?? Promise.resolve();
    let release = (): void => undefined;
    const mine = new Promise<void>((resolve) => (release = resolve));
    const tail = before.then(() => mine);
    this.#tails.set(name, tail);
    await before;
    return () => {
      release();
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    };
  }
}
