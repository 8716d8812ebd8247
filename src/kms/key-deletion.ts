/** Ends keys whose deletion window has run out. */
import { resourceOf } from './key-audit.js';
import { allKeys, deleteKey, keyById } from './key-records.js';
import type { Clock } from '../clock.js';
import type { ChangeTools } from './key-changes.js';
import type { KeyRow } from './key-records.js';

/** Two counts at a time would count the same time twice. */
const countLock = 'count';

const systemCaller = { principal: 'system' };

export class KeyDeletion {
  readonly #tools: ChangeTools;
  readonly #clock: Clock;
  /** Rows may still be in the log of a start before, so the first tick scrubs. */
  #scrubDue = true;

  constructor(tools: ChangeTools, clock: Clock) {
    this.#tools = tools;
    this.#clock = clock;
  }

  /** Records the time that has passed, then deletes what is due, wiping it from the disk. */
  tick(): Promise<void> {
    return this.#tools.locks.exclusive(countLock, () => this.#tick());
  }

  /** Adds the time since the last count to the record of every pending key. */
  count(): Promise<void> {
    return this.#tools.locks.exclusive(countLock, () => this.#count());
  }

  async #tick(): Promise<void> {
    await this.#count();
    for (const row of this.#pending()) {
      if (this.#isDue(row)) await this.#end(row.id);
    }
    if (this.#scrubDue) await this.#tools.store.scrub();
    this.#scrubDue = false;
  }

  async #count(): Promise<void> {
    const { statements, counted } = this.#tools.deletionClock.count(this.#pending());
    if (statements.length === 0) return;
    await this.#tools.store.commit(statements);
    counted();
  }

  #pending(): KeyRow[] {
    return allKeys(this.#tools.store).filter(({ state }) => state === 'pending-deletion');
  }

  #isDue(row: KeyRow): boolean {
    return this.#tools.deletionClock.leftMs(row) === 0;
  }

  async #end(id: string): Promise<void> {
    const { book, locks, store, audit, deletionClock, listener } = this.#tools;
    await locks.exclusive(id, async () => {
      // Someone may have cancelled the deletion while this waited for the lock.
      const row = keyById(store, id);
      if (row?.state !== 'pending-deletion' || !this.#isDue(row)) return;
      const key = book.find(id);
      this.#scrubDue = true;
      await store.commit([
        ...deleteKey(row, this.#clock.nowMs()),
        audit.allowed(systemCaller, 'deleteKey', resourceOf(key)),
      ]);
      deletionClock.forget(id);
      await listener()?.keyDeleted(key);
    });
  }
}
