/** Whether the daemon is alive and ready, and what it uses. */
import { readdirSync } from 'node:fs';
import type { Store } from '../store/store.js';

export interface Usage {
  readonly rssBytes: number;
  readonly cpuSeconds: number;
  readonly openFds: number;
}

const storeAnswersWithinMs = 5000;

/** Knows the parts that everything else waits for. */
export class VitalSigns {
  readonly #stores = new Map<string, Store>();
  #stopping = false;

  /** `name` for messages: "key records". */
  watch(name: string, store: Store): void {
    this.#stores.set(name, store);
  }

  stop(): void {
    this.#stopping = true;
  }

  /** Why it cannot do its work and a restart would help; empty when it is alive. */
  async notAlive(): Promise<string[]> {
    const troubles = await Promise.all(
      [...this.#stores].map(async ([name, store]) => troubleOf(name, store)),
    );
    return troubles.filter((trouble) => trouble !== undefined);
  }

  /** Why it should not be sent requests; empty when it is ready. */
  async notReady(): Promise<string[]> {
    if (this.#stopping) return ['the daemon is stopping'];
    return this.notAlive();
  }
}

export function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return {
    rssBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    openFds: readdirSync('/proc/self/fd').length,
  };
}

/** An empty transaction goes all the way through the writer thread, and writes nothing. */
async function troubleOf(name: string, store: Store): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      resolve(`the ${name} do not answer within ${String(storeAnswersWithinMs / 1000)} s`);
    }, storeAnswersWithinMs);
  });
  const answered = store.commit([]).then(
    () => undefined,
    (error: unknown) => `the ${name} cannot be written: ${String(error)}`,
  );
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}
