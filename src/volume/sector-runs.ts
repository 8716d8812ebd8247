/** Runs of sectors in a buffer that are all zeros, or are not. */
import { sectorBytes } from '../disk/sizes.js';

const zeroSector = Buffer.alloc(sectorBytes);

/** Start and end, in bytes from the start of `chunk`, a whole number of sectors. */
export function* sectorRuns(
  chunk: Buffer,
  wanted: 'data' | 'zeros',
): Generator<readonly [startBytes: number, endBytes: number]> {
  let start = 0;
  for (let at = 0; at <= chunk.length; at += sectorBytes) {
    if (at < chunk.length && isZero(chunk, at) === (wanted === 'zeros')) continue;
    if (at > start) yield [start, at];
    start = at + sectorBytes;
  }
}

function isZero(chunk: Buffer, at: number): boolean {
  return chunk.subarray(at, at + sectorBytes).equals(zeroSector);
}
