/** What a disk can be made from: content of a known size that is read in order, without its holes. */
import { roundUpToSector, sectorBytes } from '../disk/sizes.js';

/** At most so much is read at once. */
export const chunkBytes = 1048576;
/** Two runs of data with less than this between them are read as one. */
const smallGapBytes = 131072;

export type Run = readonly [startBytes: number, endBytes: number];
export type Chunk = readonly [offsetBytes: number, lengthBytes: number];

export interface DiskSource {
  readonly path: string;
  /** To the byte. */
  readonly contentBytes: number;
  /** Rounded up to whole sectors. */
  readonly diskBytes: number;
  /** For the user: "padded by 512 bytes to a multiple of 4096". */
  readonly remarks: readonly string[];
  /** What may hold other bytes than zeros, in order, from the start of a sector. */
  chunks(): AsyncIterable<Chunk>;
  /** Fills `buffer`. Several reads may run at a time. */
  read(buffer: Buffer, offsetBytes: number): Promise<void>;
  /** Throws IO_ERROR when the end of it was cut off meanwhile. */
  assertWhole(): Promise<void>;
  /** Reads that run, and later ones, fail soon. */
  stop(): void;
  close(): Promise<void>;
}

export function paddingRemarks(contentBytes: number): string[] {
  const padding = roundUpToSector(contentBytes) - contentBytes;
  return padding === 0 ? [] : [`padded by ${padding} bytes to a multiple of ${sectorBytes}`];
}

/** Cuts runs of data, which are in order, into chunks of whole sectors; the last may end before. */
export async function* chunksOfRuns(
  runs: AsyncIterable<Run>,
  contentBytes: number,
): AsyncGenerator<Chunk> {
  let [start, end] = [0, 0];
  for await (const [runStart, runEnd] of runs) {
    const from = Math.max(end, runStart - (runStart % sectorBytes));
    if (from > end + smallGapBytes || end === 0) {
      yield* pieces(start, end);
      start = from;
    }
    end = Math.max(end, Math.min(contentBytes, roundUpToSector(runEnd)));
    const whole = end - start - ((end - start) % chunkBytes);
    yield* pieces(start, start + whole);
    start += whole;
  }
  yield* pieces(start, end);
}

function* pieces(start: number, end: number): Generator<Chunk> {
  for (let at = start; at < end; at += chunkBytes) yield [at, Math.min(chunkBytes, end - at)];
}
