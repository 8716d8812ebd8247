/** Reproducible choices for the model test. */

export interface ModelRandom {
  /** A whole number in [0, end). */
  below(end: number): number;
  pick<T>(items: readonly T[]): T;
  weighted<T extends readonly [string, number, unknown]>(items: readonly T[]): T;
  /** A range of 1 byte to 1 MiB inside `sizeBytes`: any byte, or whole 512 or 4096 bytes. */
  range(sizeBytes: number): { offset: number; length: number };
  /** Noise, or now and then zeros, which must not be taken for unwritten. */
  data(lengthBytes: number): Buffer;
}

const alignments = [1, 1, 512, 4096] as const;
// Short requests are common, long ones rare, as on a real disk.
const longest = [64, 4096, 4096, 65536, 65536, 262144, 1048576] as const;

/** The mulberry32 generator: the same seed gives the same choices on every machine. */
export function modelRandom(seed: number): ModelRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (end: number): number => next() % end;
  const pick = <T>(items: readonly T[]): T => {
    const item = items[below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  };

  return {
    below,
    pick,
    weighted(items) {
      let left = below(items.reduce((sum, [, weight]) => sum + weight, 0));
      for (const item of items) {
        if (left < item[1]) return item;
        left -= item[1];
      }
      throw new Error('weights add up to less than they did');
    },
    range(sizeBytes) {
      const unit = pick(alignments);
      const units = Math.floor(sizeBytes / unit);
      const longestUnits = Math.max(1, Math.floor(pick(longest) / unit));
      const length = 1 + below(Math.min(units, longestUnits));
      return { offset: below(units - length + 1) * unit, length: length * unit };
    },
    data(lengthBytes) {
      const buffer = Buffer.alloc(lengthBytes);
      if (below(16) === 0) return buffer;
      const words = new Uint32Array(Math.ceil(lengthBytes / 4)).map(next);
      Buffer.from(words.buffer).copy(buffer);
      return buffer;
    },
  };
}
