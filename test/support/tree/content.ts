/** What a disk holds, as the model knows it: bytes, and sectors of which several are possible. */
import { modelRandom } from '../model-random.js';
import { sectorBytes } from './operations.js';

/** Throws, naming the byte, where a disk shows what it cannot hold. */
export class Mismatch extends Error {}

const noiseBytes = 1 << 20;
const noises = new Map<number, Buffer>();

/** The bytes that `fill` writes to a range: the same at the same offset, so that layers share them. */
export function filled(fill: number, offset: number, length: number): Buffer {
  if (fill === 0) return Buffer.alloc(length);
  let noise = noises.get(fill);
  if (noise === undefined) {
    const random = modelRandom(fill);
    noise = Buffer.from(
      Uint32Array.from({ length: noiseBytes / 4 }, () => random.below(2 ** 32)).buffer,
    );
    noises.set(fill, noise);
  }
  return Buffer.from(noise.subarray(offset, offset + length));
}

export class Content {
  #bytes: Buffer;
  /** What else a sector may hold, the storage having failed under it. */
  readonly #others: Map<number, Buffer[]>;

  constructor(bytes: Buffer, others: Map<number, Buffer[]> = new Map<number, Buffer[]>()) {
    this.#bytes = bytes;
    this.#others = others;
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  get isCertain(): boolean {
    return this.#others.size === 0;
  }

  /** Cut off, or with zeros behind it. */
  copy(sizeBytes = this.sizeBytes): Content {
    const bytes = Buffer.alloc(sizeBytes);
    this.#bytes.copy(bytes);
    const others = [...this.#others].filter(([sector]) => (sector + 1) * sectorBytes <= sizeBytes);
    return new Content(bytes, new Map(others.map(([sector, all]) => [sector, [...all]])));
  }

  write(offset: number, data: Uint8Array): void {
    this.#bytes.set(data, offset);
  }

  isZero(offset: number, end: number): boolean {
    return this.#bytes.subarray(offset, end).every((byte) => byte === 0);
  }

  sector(sector: number): Buffer {
    return Buffer.from(this.#bytes.subarray(sector * sectorBytes, (sector + 1) * sectorBytes));
  }

  mayHold(sector: number, bytes: readonly Buffer[]): void {
    this.#others.set(sector, [...(this.#others.get(sector) ?? []), ...bytes]);
  }

  /**
   * Compares what was read. What is read stays so, unless `passing`: then the storage may still
   * lose it.
   */
  compare(offset: number, seen: Uint8Array, passing = false): void {
    const expected = this.#bytes.subarray(offset, offset + seen.length);
    if (this.isCertain && expected.equals(seen)) return;
    for (const sector of sectorsOf(offset, seen.length)) {
      const from = Math.max(offset, sector * sectorBytes);
      const to = Math.min(offset + seen.length, (sector + 1) * sectorBytes);
      this.#compareSector(
        sector,
        from,
        Buffer.from(seen.subarray(from - offset, to - offset)),
        passing,
      );
    }
  }

  #compareSector(sector: number, from: number, seen: Buffer, passing: boolean): void {
    const start = from - sector * sectorBytes;
    const fits = (bytes: Buffer): boolean =>
      bytes.subarray(start, start + seen.length).equals(seen);
    const others = this.#others.get(sector);
    const possible = [this.sector(sector), ...(others ?? [])].filter(fits);
    const [first] = possible;
    if (first === undefined) throw this.#mismatch(sector, from, seen, others?.length ?? 0);
    if (others === undefined || passing) return;
    this.#bytes.set(first, sector * sectorBytes);
    if (possible.length > 1) this.#others.set(sector, possible);
    else this.#others.delete(sector);
    if (seen.length === sectorBytes) this.#others.delete(sector);
  }

  #mismatch(sector: number, from: number, seen: Buffer, others: number): Mismatch {
    const expected = this.#bytes.subarray(from, from + seen.length);
    const at = seen.findIndex((byte, index) => byte !== expected[index]);
    return new Mismatch(
      `byte ${from + at} (sector ${sector}) is ${seen[at]}, expected ${expected[at]}` +
        (others === 0 ? '' : ` or what ${others} writes before left`),
    );
  }
}

export function sectorsOf(offset: number, length: number): number[] {
  const first = Math.floor(offset / sectorBytes);
  const end = Math.ceil((offset + length) / sectorBytes);
  return Array.from({ length: end - first }, (_, index) => first + index);
}
