/** Temporary directories that the end of the test removes. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The part of tap's `t` that runs a function at the end of the test. */
export interface Teardown {
  teardown(work: () => unknown): void;
}

export function tempDirectory(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'keyvol-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A tmpfs of `size` ("2m") on a fresh directory. Needs root. */
export function smallFilesystem(t: Teardown, size: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'keyvol-small-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', directory]);
  t.teardown(() => {
    execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/**
 * Takes all space of the filesystem of `directory` but `leftBytes`; the file that is named can be
 * removed.
 */
export function fillFilesystem(directory: string, leftBytes = 0): string {
  const path = join(directory, 'filler');
  const file = openSync(path, 'a');
  try {
    for (const lengthBytes of [65536, 4096]) appendUntilFull(file, lengthBytes);
    if (leftBytes > 0) ftruncateSync(file, Math.max(0, fstatSync(file).size - leftBytes));
  } finally {
    closeSync(file);
  }
  return path;
}

function appendUntilFull(file: number, lengthBytes: number): void {
  try {
    for (;;) writeSync(file, Buffer.alloc(lengthBytes, 1));
  } catch {
    // Full, which is what this is for.
  }
}

export const isRoot = process.getuid?.() === 0;
