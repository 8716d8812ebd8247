/** What a disk reads as goes elsewhere, or comes from there, in chunks, as long as it may. */
import type { Device } from '../device/index.js';
import { sectorRuns } from './sector-runs.js';
import type { LongCall } from './volumes.js';

const chunkBytes = 1048576;

export interface CopySource {
  readonly sizeBytes: number;
  /** Where there are data, in order, each from the start of a sector; all else reads as zeros. */
  runs(): AsyncIterable<readonly [startBytes: number, endBytes: number]>;
  /** Fills whole sectors, with zeros behind its end. */
  read(sectors: Buffer, offsetBytes: number): Promise<void>;
}

/** Must not change `data`, nor need it once its promise has settled. */
export type WriteData = (data: Buffer, offsetBytes: number) => Promise<void>;

export interface CopyOrder {
  /** Sectors that are not zeros, or all of them. */
  readonly wanted: 'data' | 'everything';
  readonly call: LongCall;
  /** Throws when the copy must stop. */
  readonly assertGoing: () => void;
}

/** Answers how many bytes it has written. */
export async function copyDisk(
  source: CopySource,
  write: WriteData,
  order: CopyOrder,
): Promise<number> {
  const { sizeBytes: totalBytes } = source;
  const { call, assertGoing } = order;
  let dataBytes = 0;
  let doneBytes = 0;
  // Two buffers: the next chunk is read while the last one is written.
  let [reading, writing] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
  let written: Promise<void> = Promise.resolve();
  const writeChunk = async (chunk: Buffer, offsetBytes: number): Promise<void> => {
    const runs = order.wanted === 'data' ? sectorRuns(chunk, 'data') : [[0, chunk.length] as const];
    for (const [start, end] of runs) {
      await write(chunk.subarray(start, end), offsetBytes + start);
      dataBytes += end - start;
    }
  };
  try {
    for await (const [offsetBytes, lengthBytes] of chunksOf(source, order.wanted)) {
      assertGoing();
      const chunk = reading.subarray(0, lengthBytes);
      await source.read(chunk, offsetBytes);
      await written;
      [reading, writing] = [writing, reading];
      written = writeChunk(chunk, offsetBytes);
      // Awaited in the next round; until then its failure is not unhandled.
      written.catch(() => undefined);
      doneBytes = Math.min(offsetBytes + lengthBytes, totalBytes);
      call.onProgress?.({ doneBytes, totalBytes });
    }
  } finally {
    await written;
  }
  assertGoing();
  if (doneBytes < totalBytes) call.onProgress?.({ doneBytes: totalBytes, totalBytes });
  return dataBytes;
}

async function* chunksOf(
  source: CopySource,
  wanted: CopyOrder['wanted'],
): AsyncGenerator<readonly [offsetBytes: number, lengthBytes: number]> {
  const runs = wanted === 'data' ? source.runs() : [[0, source.sizeBytes] as const];
  for await (const [start, end] of runs) {
    for (let at = start; at < end; at += chunkBytes) yield [at, Math.min(chunkBytes, end - at)];
  }
}

/** What an open device reads as. */
export function deviceSource(device: Device): CopySource {
  return {
    sizeBytes: device.sizeBytes,
    runs: () => runsOf(device),
    read: (sectors, offsetBytes) => device.read(sectors, offsetBytes),
  };
}

async function* runsOf(device: Device): AsyncGenerator<readonly [number, number]> {
  let at = await device.seekData(0);
  while (at !== undefined) {
    const end = (await device.seekHole(at)) ?? device.sizeBytes;
    yield [at, end];
    at = end < device.sizeBytes ? await device.seekData(end) : undefined;
  }
}
