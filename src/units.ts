/** Sizes as people write them: units are powers of 1024, and K is KiB. */
import { Fault } from './fault.js';

const unitLetters = ['', 'K', 'M', 'G', 'T', 'P'] as const;
const sizePattern = /^(\d{1,20})(?:\.(\d{1,20}))? ?(?:([KMGTP])(?:iB)?|B)?$/i;

/**
 * Bytes of "10G", "512MiB", "1.5T" or "4096". Throws INVALID_SIZE for anything else, for a
 * fraction that is not a whole number of bytes, and for more than 2^53 - 1 bytes. Zero is a size.
 */
export function parseSize(text: string): number {
  const match = sizePattern.exec(text.trim());
  if (match === null) throw invalid(text, 'is not a size', 'write it like 10G, 512MiB or 4096');
  const [, whole = '', fraction = '', letter = ''] = match;
  const power = unitLetters.findIndex((unit) => unit === letter.toUpperCase());
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * 1024n ** BigInt(power);
  if (scaled % scale !== 0n) throw invalid(text, 'is not a whole number of bytes');
  const bytes = scaled / scale;
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(text, 'is too large');
  return Number(bytes);
}

/** "10 GiB", "1.5 GiB" (rounded to one decimal), "512 bytes"; parseSize reads all but the last. */
export function formatSize(bytes: number): string {
  const power = unitLetters.findLastIndex((_, index) => bytes >= 1024 ** index);
  if (power <= 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  const value = bytes / 1024 ** power;
  // Rounding must not give "1024.0 MiB" where "1 GiB" is meant.
  if (value >= 1023.95 && power + 1 < unitLetters.length) return `1 ${unitLetters[power + 1]}iB`;
  const digits = Number.isInteger(value) ? String(value) : value.toFixed(1).replace(/\.0$/, '');
  return `${digits} ${unitLetters[power]}iB`;
}

function invalid(text: string, why: string, hint?: string): Fault {
  const message = `"${text.slice(0, 40)}" ${why}`;
  return new Fault('INVALID_SIZE', message, hint === undefined ? {} : { hint });
}
