/** Chooses the real files that the quickstart puts on its volume. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface FileChoice {
  /** Paths of regular files, absolute. */
  readonly files: readonly string[];
  readonly sizeBytes: number;
}

/** Takes files of `directories`, in order, until they hold `limitBytes` or there are no more. */
export function chooseFiles(directories: readonly string[], limitBytes: number): FileChoice {
  const files: string[] = [];
  let sizeBytes = 0;
  for (const path of regularFiles(directories)) {
    if (sizeBytes >= limitBytes) break;
    files.push(path);
    sizeBytes += lstatSync(path).size;
  }
  return { files, sizeBytes };
}

function* regularFiles(directories: readonly string[]): Generator<string> {
  for (const directory of directories) {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) yield* regularFiles([path]);
      else if (entry.isFile()) yield path;
    }
  }
}
