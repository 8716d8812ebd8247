/** Over a whole run: no nonce twice under a key, no data key in two layers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseToken } from '../../../dist/disk/token.js';
import { DATA_OFFSET_BYTES } from '../layers.js';
import { Mismatch } from './content.js';
import { sectorBytes } from './operations.js';
import { tokensFile } from './subject.js';

/** Purpose, key id, key version and nonce of the wrapped bytes (DESIGN §4). */
const labelBytes = { start: 3, end: 3 + 1 + 16 + 4 + 12 } as const;

/** Looks at every token that was ever made under the directory and at every container there. */
export function assertNeverShared(directory: string): void {
  assertNoncesDiffer(readFileSync(join(directory, tokensFile), 'utf8').split('\n').slice(0, -1));
  const layers = join(directory, 'layers');
  assertCiphertextsDiffer(readdirSync(layers).map((name) => join(layers, name)));
}

export function assertNoncesDiffer(tokens: readonly string[]): void {
  const nonces = new Set<string>();
  const layers = new Set<string>();
  for (const text of tokens) {
    const { wrapped, context } = parseToken(text, 'of the run');
    const nonce = wrapped.toString('hex', labelBytes.start, labelBytes.end);
    const layer = context['layer'] ?? '';
    if (nonces.has(nonce)) throw new Mismatch(`layer ${layer} has a nonce that was used before`);
    if (layers.has(layer)) throw new Mismatch(`layer ${layer} was made twice`);
    nonces.add(nonce);
    layers.add(layer);
  }
}

/**
 * Under XTS one plaintext at one place gives one ciphertext a key. Runs write few plaintexts, so
 * that layers which share a key would show the same block somewhere.
 */
export function assertCiphertextsDiffer(containers: readonly string[]): void {
  const owners = new Map<string, string>();
  for (const path of containers) {
    const bytes = readFileSync(path);
    for (let at = DATA_OFFSET_BYTES; at < bytes.length; at += sectorBytes) {
      const block = bytes.toString('latin1', at, at + 16);
      if (block === '\0'.repeat(16)) continue;
      const owner = owners.get(block);
      if (owner !== undefined) throw new Mismatch(`${owner} and ${path} encrypt alike`);
      owners.set(block, path);
    }
  }
}
