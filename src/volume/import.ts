/** The content of a file becomes the bottom layer of a new disk. */
import type { Device } from '../device/index.js';
import type { LayerRecord } from '../disk/records.js';
import { roundUpToSector } from '../disk/sizes.js';
import type { Caller } from '../kms/key-service.js';
import { chunkBytes, type DiskSource } from '../source/source.js';
import { ContentDigest } from './content-digest.js';
import type { DiskContext } from './context.js';
import { fillNewLayer } from './new-layer.js';
import { sectorRuns } from './sector-runs.js';
import type { LongCall } from './volumes.js';

/** Chunks that are read, hashed, encrypted and written at a time. */
const bufferCount = 8;
const readAheadCount = 4;
const watchEveryMs = 200;

export const noSha256 = 'its SHA-256 was not computed: it has too many holes';

export interface ImportSettings {
  /** "image debian", for messages. */
  readonly disk: string;
  readonly keyId: string;
  readonly sizeBytes: number;
  readonly preallocated: boolean;
}

export interface ImportedLayer {
  readonly layer: LayerRecord;
  /** Of the source's content; undefined when it has so many holes that it was left out. */
  readonly sha256: string | undefined;
}

/**
 * Copies `source` into a new layer, leaving zero sectors unwritten, and calls `keep` with the
 * flushed layer to commit its records. All or nothing: a failure, a lost key or an abort leaves no file.
 */
export async function importSource(
  context: DiskContext,
  source: DiskSource,
  settings: ImportSettings,
  caller: Caller,
  call: LongCall,
  keep: (imported: ImportedLayer) => Promise<void>,
): Promise<void> {
  const { disk, ...layer } = settings;
  let sha256: string | undefined;
  const fill = async (device: Device, assertGoing: () => void): Promise<void> => {
    sha256 = await new Copy(context, source, device, call, assertGoing).run();
  };
  const filled = { what: `import of ${disk}`, ...layer };
  await fillNewLayer(context, filled, caller, call, fill, (made) => keep({ layer: made, sha256 }));
}

/** A buffer, and when it may be filled again. */
interface Slot {
  readonly buffer: Buffer;
  idle: Promise<unknown>;
}

interface Piece {
  readonly slot: Slot;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly filled: Promise<void>;
}

class Copy {
  readonly #source: DiskSource;
  readonly #device: Device;
  readonly #call: LongCall;
  readonly #assertGoing: () => void;
  readonly #digest: ContentDigest;
  readonly #slots: Slot[] = Array.from({ length: bufferCount }, () => ({
    buffer: Buffer.alloc(chunkBytes),
    idle: Promise.resolve(),
  }));
  /** In order. */
  readonly #reading: Piece[] = [];
  #doneBytes = 0;

  constructor(
    { addon }: Pick<DiskContext, 'addon'>,
    source: DiskSource,
    device: Device,
    call: LongCall,
    assertGoing: () => void,
  ) {
    this.#source = source;
    this.#device = device;
    this.#call = call;
    this.#assertGoing = assertGoing;
    this.#digest = new ContentDigest(addon);
  }

  /** The SHA-256 of what was copied. */
  async run(): Promise<string | undefined> {
    const watch = setInterval(() => this.#stopIfOver(), watchEveryMs);
    try {
      await this.#copyAll();
      await this.#source.assertWhole();
      const sha256 = await this.#digest.finish(this.#source.contentBytes);
      this.#assertGoing();
      if (this.#doneBytes < this.#source.contentBytes) this.#report(this.#source.contentBytes);
      return sha256;
    } catch (error) {
      // What was stopped by us fails by that.
      this.#assertGoing();
      throw error;
    } finally {
      clearInterval(watch);
      await this.#settle();
    }
  }

  /** A source may never answer, and nobody asks in the meantime. */
  #stopIfOver(): void {
    try {
      this.#assertGoing();
    } catch {
      this.#source.stop();
      void this.#digest.stop();
    }
  }

  async #copyAll(): Promise<void> {
    let next = 0;
    for await (const [offsetBytes, lengthBytes] of this.#source.chunks()) {
      const slot = this.#slots[next++ % bufferCount];
      if (slot === undefined) break;
      await slot.idle;
      const filled = this.#source.read(slot.buffer.subarray(0, lengthBytes), offsetBytes);
      // Awaited in its turn; until then its failure is not unhandled.
      filled.catch(() => undefined);
      this.#reading.push({ slot, offsetBytes, lengthBytes, filled });
      if (this.#reading.length === readAheadCount) await this.#writeOldest();
    }
    while (this.#reading.length > 0) await this.#writeOldest();
    await Promise.all(this.#slots.map(({ idle }) => idle));
  }

  async #writeOldest(): Promise<void> {
    this.#assertGoing();
    const piece = this.#reading[0];
    if (piece === undefined) return;
    const { slot, offsetBytes, lengthBytes } = piece;
    await piece.filled;
    this.#reading.shift();
    slot.buffer.fill(0, lengthBytes, roundUpToSector(lengthBytes));
    const sectors = slot.buffer.subarray(0, roundUpToSector(lengthBytes));
    slot.idle = Promise.all([
      this.#digest.add(sectors.subarray(0, lengthBytes), offsetBytes),
      this.#writeSectors(sectors, offsetBytes),
    ]);
    slot.idle.catch(() => undefined);
    this.#report(offsetBytes + lengthBytes);
  }

  /** Leaves sectors of zeros unwritten: they read as zeros. */
  async #writeSectors(sectors: Buffer, offsetBytes: number): Promise<void> {
    for (const [start, end] of sectorRuns(sectors, 'data')) {
      await this.#device.write(sectors.subarray(start, end), offsetBytes + start);
    }
  }

  #report(doneBytes: number): void {
    this.#doneBytes = doneBytes;
    this.#call.onProgress?.({ doneBytes, totalBytes: this.#source.contentBytes });
  }

  /** Nothing reads from or writes to a buffer any more. */
  async #settle(): Promise<void> {
    await this.#digest.stop();
    if (this.#reading.length > 0) this.#source.stop();
    const filling = this.#reading.map(({ filled }) => filled);
    await Promise.allSettled([...filling, ...this.#slots.map(({ idle }) => idle)]);
  }
}
