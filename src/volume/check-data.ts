/** Reads everything that was ever written to a disk, to see whether it can be read. */
import type { Device } from '../device/index.js';
import { Fault } from '../fault.js';
import { sectorBytes } from '../disk/sizes.js';
import type { LongCall } from './volumes.js';

const chunkBytes = 1048576;
/** More are only counted. */
const maxRanges = 1000;

export interface UnreadableRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly why: string;
}

export interface DataCheck {
  readonly readBytes: number;
  readonly failedBytes: number;
  readonly ranges: readonly UnreadableRange[];
}

/** Goes on where sectors cannot be read. Throws what `assertGoing` throws, GATE_CLOSED. */
export async function readEverything(
  device: Device,
  call: LongCall,
  assertGoing: () => void,
): Promise<DataCheck> {
  const reader = new Reader(device);
  const totalBytes = device.sizeBytes;
  for await (const [offsetBytes, lengthBytes] of chunksOfData(device)) {
    assertGoing();
    if (!(await reader.read(offsetBytes, lengthBytes))) {
      // Which of its sectors it is: each is asked for alone.
      for (let at = 0; at < lengthBytes; at += sectorBytes) {
        assertGoing();
        await reader.readSector(offsetBytes + at);
      }
    }
    call.onProgress?.({ doneBytes: offsetBytes + lengthBytes, totalBytes });
  }
  assertGoing();
  call.onProgress?.({ doneBytes: totalBytes, totalBytes });
  return reader;
}

class Reader implements DataCheck {
  readonly ranges: UnreadableRange[] = [];
  readBytes = 0;
  failedBytes = 0;
  readonly #device: Device;
  readonly #buffer = Buffer.alloc(chunkBytes);

  constructor(device: Device) {
    this.#device = device;
  }

  /** Answers false when some of it cannot be read. */
  async read(offsetBytes: number, lengthBytes: number): Promise<boolean> {
    const why = await this.#tryRead(offsetBytes, lengthBytes);
    if (why === undefined) this.readBytes += lengthBytes;
    return why === undefined;
  }

  async readSector(offsetBytes: number): Promise<void> {
    const why = await this.#tryRead(offsetBytes, sectorBytes);
    if (why === undefined) this.readBytes += sectorBytes;
    else this.#note(offsetBytes, why);
  }

  async #tryRead(offsetBytes: number, lengthBytes: number): Promise<string | undefined> {
    try {
      await this.#device.read(this.#buffer.subarray(0, lengthBytes), offsetBytes);
      return undefined;
    } catch (error) {
      return ioErrorIn(error);
    }
  }

  #note(offsetBytes: number, why: string): void {
    this.failedBytes += sectorBytes;
    const last = this.ranges.at(-1);
    if (last?.why === why && last.offsetBytes + last.lengthBytes === offsetBytes) {
      this.ranges.splice(-1, 1, { ...last, lengthBytes: last.lengthBytes + sectorBytes });
    } else if (this.ranges.length < maxRanges) {
      this.ranges.push({ offsetBytes, lengthBytes: sectorBytes, why });
    }
  }
}

/** What cannot be told for a hole, because storage fails there, counts as data. */
async function* chunksOfData(device: Device): AsyncGenerator<readonly [number, number]> {
  const totalBytes = device.sizeBytes;
  for (let at = 0; at < totalBytes;) {
    const start = await orOnIoError(() => device.seekData(at), at);
    if (start === undefined) return;
    const oneChunk = Math.min(start + chunkBytes, totalBytes);
    const hole = (await orOnIoError(() => device.seekHole(start), oneChunk)) ?? totalBytes;
    const end = hole > start ? hole : oneChunk;
    for (at = start; at < end; at += chunkBytes) yield [at, Math.min(chunkBytes, end - at)];
    at = end;
  }
}

async function orOnIoError<Result>(
  work: () => Promise<Result>,
  otherwise: Result,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    ioErrorIn(error);
    return otherwise;
  }
}

/** The message of an error of the storage; throws any other. */
function ioErrorIn(error: unknown): string {
  if (error instanceof Fault && error.code === 'IO_ERROR') return error.message;
  throw error;
}
