/** Real containers, their keys, and foreign judges of them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addon, type Secret } from '../../dist/device/index.js';

export const dataOffsetBytes = 1024 * 1024;

export interface TestContainer {
  readonly path: string;
  readonly layerId: string;
  readonly sizeBytes: number;
  readonly dataKey: Secret;
}

/** The token of DESIGN §3 for a layer without a parent; `context` overrides its fields. */
export function tokenText(
  layerId: string,
  sizeBytes: number,
  context: Readonly<Record<string, string>> = {},
): string {
  return JSON.stringify({
    type: 'keyvol',
    keyslots: [],
    format: 1,
    wrapped: 'S1Y=',
    context: {
      layer: layerId,
      parent: '',
      key_id: '0f9b2c1d-7e64-4a8f-b3c5-d2e1f0a9b8c7',
      cipher: 'aes-xts-plain64',
      sector_bytes: '4096',
      data_offset_bytes: String(dataOffsetBytes),
      size_bytes: String(sizeBytes),
      generation: '1',
      ...context,
    },
  });
}

export async function newContainer(
  directory: string,
  sizeBytes = 1024 * 1024,
  preallocate = false,
): Promise<TestContainer> {
  const layerId = randomUUID();
  const path = join(directory, `${layerId}.luks`);
  const dataKey = addon.generateDataKey();
  const token = tokenText(layerId, sizeBytes);
  await addon.createContainer({ path, layerId, sizeBytes, token, preallocate }, dataKey);
  return { path, layerId, sizeBytes, dataKey };
}

export function copyOf(container: TestContainer, directory: string): string {
  const path = join(directory, `${randomUUID()}.luks`);
  copyFileSync(container.path, path);
  return path;
}

export function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Runs cryptsetup, which must succeed, and returns what it prints. */
export function cryptsetup(args: readonly string[], input = ''): string {
  return execFileSync('cryptsetup', args, { encoding: 'utf8', input, stdio: 'pipe' });
}

/** The exit status of a cryptsetup that may fail: 0 fine, 1 wrong use or file, 2 wrong key. */
export function cryptsetupStatus(args: readonly string[]): number | null {
  return spawnSync('cryptsetup', args, { stdio: 'ignore' }).status;
}

export const hasCryptsetup =
  spawnSync('cryptsetup', ['--version'], { stdio: 'ignore' }).status === 0;
