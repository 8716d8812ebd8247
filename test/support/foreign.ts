/** Foreign images, made by qemu-img, and read as an import reads them. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, truncateSync, unlinkSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { addon } from '../../dist/device/index.js';
import { openSource, type SourceHost } from '../../dist/source/open-source.js';
import type { ImageFormat } from '../../dist/source/format.js';

const run = promisify(execFile);
export const mib = 1048576;

/** Runs qemu-img; throws when it fails. */
export function qemuImg(...args: string[]): void {
  execFileSync('qemu-img', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A raw file of data and holes that begin and end anywhere. */
export function patchyRaw(path: string, sizeBytes: number): void {
  const file = openSync(path, 'w');
  for (let at = 12345; at + 2 * mib < sizeBytes; at += 3 * mib + 1000) {
    writeSync(file, randomBytes(mib + 77), 0, mib + 77, at);
  }
  closeSync(file);
  truncateSync(path, sizeBytes);
}

export function sha256OfFile(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** What qemu-img makes of an image, without anything of ours; undefined when it cannot read it. */
export async function sha256ByQemu(path: string, format: string): Promise<string | undefined> {
  const raw = `${path}.by-qemu`;
  try {
    await run('qemu-img', ['convert', '-f', format, '-O', 'raw', path, raw]);
    return sha256OfFile(raw);
  } catch {
    return undefined;
  } finally {
    try {
      unlinkSync(raw);
    } catch {
      // It never came to be.
    }
  }
}

export const host: SourceHost = { addon, runtimeDir: tmpdir(), fuse: undefined };

/** Of a disk that is larger than this the zeros are not hashed. */
export const mostHashedBytes = 64 * mib;

/** Reads a source to its end, as an import does. Throws as it does. "large" for a large disk. */
export async function sha256OfSource(path: string, format?: ImageFormat): Promise<string> {
  const source = await openSource(host, path, format);
  try {
    const hash = createHash('sha256');
    let at = 0;
    for await (const [offsetBytes, lengthBytes] of source.chunks()) {
      const buffer = Buffer.alloc(lengthBytes);
      await source.read(buffer, offsetBytes);
      if (source.contentBytes <= mostHashedBytes) hashZeros(hash, offsetBytes - at);
      hash.update(buffer);
      at = offsetBytes + lengthBytes;
    }
    if (source.contentBytes > mostHashedBytes) return 'large';
    hashZeros(hash, source.contentBytes - at);
    return hash.digest('hex');
  } finally {
    await source.close();
  }
}

function hashZeros(hash: ReturnType<typeof createHash>, lengthBytes: number): void {
  for (let left = lengthBytes; left > 0; left -= mib)
    hash.update(Buffer.alloc(Math.min(left, mib)));
}
