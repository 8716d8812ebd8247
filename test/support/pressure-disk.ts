/**
 * A volume under pressure, and what must be on it. Each of its slots of 4096 bytes holds the disk's
 * own number, the slot's, a sequence number and noise made of them, so that a torn slot, a stale
 * one, or one of another disk is told from a right one.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { hash } from 'node:crypto';
import type { ModelRandom } from './model-random.js';

const slotBytes = 4096;
const slots = 64;
const mostInFlight = 8;

export class PressureDisk {
  readonly name: string;
  readonly #number: number;
  /** What is durable, and the newest that was ever written, by slot. */
  readonly #durable = new Array<number>(slots).fill(0);
  readonly #written = new Array<number>(slots).fill(0);
  #sequence = 0;
  /** Rolled back to a copy of that mark, and not yet seen since. */
  #rolledBackTo: readonly number[] | undefined;

  constructor(number: number) {
    this.#number = number;
    this.name = `v${String(number)}`;
  }

  /** Writes some slots, flushes, reads some back; false when the disk refused (its key is away). */
  async work(path: string, random: ModelRandom): Promise<boolean> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'r+');
      await this.#learnRollback(file);
      const chosen = new Set(Array.from({ length: mostInFlight }, () => random.below(slots)));
      for (const slot of chosen) {
        const sequence = (this.#written[slot] = ++this.#sequence);
        await file.write(this.#contents(slot, sequence), 0, slotBytes, slot * slotBytes);
      }
      await file.sync();
      // What was written before, and refused, is not known to be there.
      for (const slot of chosen) this.#durable[slot] = this.#written[slot] ?? 0;
      await this.#check(file, this.#durable);
      return true;
    } catch (error) {
      if (isRefusal(error)) return false;
      throw error;
    } finally {
      await file?.close().catch(() => undefined);
    }
  }

  /** What a copy of now may show: from the durable numbers to those written by the time it is read. */
  mark(): number[] {
    return [...this.#durable];
  }

  /** Throws when `path`, a copy of this disk that was asked for at `mark`, shows anything else. */
  async checkCopy(path: string, mark: readonly number[]): Promise<void> {
    const file = await open(path, 'r');
    try {
      await this.#check(file, mark);
    } finally {
      await file.close();
    }
  }

  /** It was rolled back to a copy that was asked for at `mark`: what that holds is the truth again. */
  rolledBack(mark: readonly number[]): void {
    this.#rolledBackTo = mark;
    this.#durable.splice(0, slots, ...mark);
  }

  async #learnRollback(file: FileHandle): Promise<void> {
    if (this.#rolledBackTo === undefined) return;
    for (let slot = 0; slot < slots; slot++) {
      const sequence = await this.#read(file, slot, this.#rolledBackTo);
      this.#durable[slot] = this.#written[slot] = sequence;
    }
    this.#rolledBackTo = undefined;
  }

  async #check(file: FileHandle, least: readonly number[]): Promise<void> {
    for (let slot = 0; slot < slots; slot++) await this.#read(file, slot, least);
  }

  async #read(file: FileHandle, slot: number, least: readonly number[]): Promise<number> {
    const seen = Buffer.alloc(slotBytes);
    await file.read(seen, 0, slotBytes, slot * slotBytes);
    const sequence = seen.readDoubleLE(0);
    const place = `${this.name}, slot ${String(slot)}`;
    if (!seen.equals(this.#contents(slot, sequence))) throw new Error(`${place}: wrong contents`);
    const [from, to] = [least[slot] ?? 0, this.#written[slot] ?? 0];
    if (sequence >= from && sequence <= to) return sequence;
    throw new Error(`${place} shows ${String(sequence)}, not ${String(from)} to ${String(to)}`);
  }

  /** Zeros for a slot that was never written. */
  #contents(slot: number, sequence: number): Buffer {
    const bytes = Buffer.alloc(slotBytes);
    if (sequence === 0) return bytes;
    const seed = `${String(this.#number)} ${String(slot)} ${String(sequence)}`;
    bytes.fill(hash('sha256', seed, 'buffer'));
    bytes.writeDoubleLE(sequence, 0);
    return bytes;
  }
}

/** Of a closed gate, a file that is gone, a disk that is mounted or on its way. */
function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EIO' || code === 'ENOENT' || code === 'EBUSY';
}
