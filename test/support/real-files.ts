/** Real files of this machine, as what a disk is filled with. */
import { copyFile, lstat, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const roots = ['/usr/share', '/usr/lib', '/usr/bin'];

/** Copies regular files into `target`, with their paths, until `minBytes` are there. */
export async function copyRealFiles(target: string, minBytes: number): Promise<number> {
  let bytes = 0;
  for (const root of roots) {
    for await (const { path, size } of regularFiles(root)) {
      if (bytes >= minBytes) return bytes;
      const copy = join(target, path);
      await mkdir(dirname(copy), { recursive: true });
      await copyFile(path, copy);
      bytes += size;
    }
  }
  if (bytes < minBytes) throw new Error(`only ${String(bytes)} bytes of real files found`);
  return bytes;
}

async function* regularFiles(directory: string): AsyncGenerator<{ path: string; size: number }> {
  const entries = await readdir(directory, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* regularFiles(path);
    else if (entry.isFile()) yield { path, size: (await lstat(path)).size };
  }
}
