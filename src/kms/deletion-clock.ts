/** Counts how much of each deletion window the daemon has seen pass. */
import { addCountedMs } from './key-records.js';
import type { Clock } from '../clock.js';
import type { Statement } from '../store/store.js';
import type { KeyRow } from './key-records.js';

/**
 * Only CLOCK_BOOTTIME counts, from when the daemon started or the deletion was scheduled: no
 * change of the wall clock shortens a window, and time powered off does not count.
 */
export class DeletionClock {
  readonly #clock: Clock;
  readonly #startedMs: number;
  /** Boot time up to which a key's time is in its record. */
  readonly #countedUpToMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = this.#nowMs();
  }

  /** The key's window begins now. */
  begin(keyId: string): void {
    this.#countedUpToMs.set(keyId, this.#nowMs());
  }

  forget(keyId: string): void {
    this.#countedUpToMs.delete(keyId);
  }

  /** Time still to pass, counting what is not recorded yet; never below 0. */
  leftMs(row: KeyRow): number {
    const passedMs = (row.countedMs ?? 0) + this.#uncountedMs(row.id, this.#nowMs());
    return Math.max(0, (row.windowMs ?? 0) - passedMs);
  }

  /** What to commit for `rows`; call `counted` once it is durable. */
  count(rows: readonly KeyRow[]): { statements: Statement[]; counted: () => void } {
    const nowMs = this.#nowMs();
    const statements = rows.map(({ id }) => addCountedMs(id, this.#uncountedMs(id, nowMs)));
    const counted = (): void => rows.forEach(({ id }) => this.#countedUpTo(id, nowMs));
    return { statements, counted };
  }

  /** Never back: the key may have been scheduled anew while the count was being written. */
  #countedUpTo(keyId: string, nowMs: number): void {
    this.#countedUpToMs.set(keyId, Math.max(nowMs, this.#countedUpToMs.get(keyId) ?? 0));
  }

  /** Whole milliseconds, so that nothing is lost between two counts. */
  #nowMs(): number {
    return Math.floor(this.#clock.bootTimeMs());
  }

  #uncountedMs(keyId: string, nowMs: number): number {
    return Math.max(0, nowMs - (this.#countedUpToMs.get(keyId) ?? this.#startedMs));
  }
}
