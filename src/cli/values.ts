/** Values on the command line that are not texts. Each throws what commander reports as usage. */
import { InvalidArgumentError } from 'commander';
import { Fault } from '../fault.js';
import { parseSize } from '../units.js';

/** Bytes of "10G", "512MiB" or a bare number. */
export function sizeOf(text: string): number {
  return parseSize(text);
}

/** A whole number, 0 or more. */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw new InvalidArgumentError('It must be a whole number.');
  return count;
}

/** Throws INVALID_ARGUMENT unless `text` has the shape VOLUME@NAME. */
export function snapshotName(text: string): string {
  if (/^[^@]+@[^@]+$/.test(text)) return text;
  throw new Fault('INVALID_ARGUMENT', `${text} does not name a snapshot`, {
    hint: 'write it as VOLUME@NAME, for example db@monday',
  });
}
