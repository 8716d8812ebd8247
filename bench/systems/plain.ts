/** The backing file itself, with nothing between. */
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { System } from '../system.js';

/** A file of this size in `directory`, with no data yet. */
export function newFile(directory: string, sizeBytes: number): string {
  const path = join(directory, 'disk');
  const file = openSync(path, 'wx', 0o600);
  ftruncateSync(file, sizeBytes);
  closeSync(file);
  return path;
}

export const plain: System = {
  name: 'plain',
  takesFilesystem: true,
  whyNot: () => undefined,
  start: ({ directory, sizeBytes }) =>
    Promise.resolve({
      path: newFile(directory, sizeBytes),
      pids: [],
      end: () => Promise.resolve(),
    }),
};
