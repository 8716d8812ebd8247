/** Names that outlast a power cut: a directory is synced after what it names has changed. */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Throws the system's error. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes a directory of mode 0700, and those above it that are missing; what is there stays as it is.
 * Throws the system's error.
 */
export function makeDirectory(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = resolve(directory); ; made = dirname(made)) {
    syncDirectory(dirname(made));
    if (made === resolve(first)) return;
  }
}
