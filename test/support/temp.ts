/** Temporary directories that the end of the test removes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
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

export const isRoot = process.getuid?.() === 0;
