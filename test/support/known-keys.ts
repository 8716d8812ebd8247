/** The keys of a daemon, learnt from outside, so that a test can look for them. */
import { createDecipheriv } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { World } from './world.js';

export interface KnownKeys {
  readonly root: Buffer;
  readonly master: Buffer;
  /** 64 bytes: the two halves of an XTS key. */
  readonly data: Buffer;
}

/** Makes a key `app` and a volume `v` under it, and learns all three keys. */
export async function learnKeys(world: World): Promise<KnownKeys> {
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'v', '--size', '4M', '--key', 'app');
  const out = join(world.directory, 'volume.key');
  await world.keyvol('volume', 'export-key', 'v', '--out', out);
  const root = await readFile(join(world.stateDir, 'root.key'));
  const { id } = await world.json<{ id: string }>('key', 'show', 'app');
  return { root, master: unwrapMasterKey(world.stateDir, root, id), data: await readFile(out) };
}

/** The forms in which a key could leak. */
export function formsOf(key: Buffer): Buffer[] {
  const hex = key.toString('hex');
  const texts = [hex, hex.toUpperCase(), key.toString('base64')];
  return [key, ...texts.map((text) => Buffer.from(text))];
}

/** The raw master key, unwrapped by Node's own AES-256-GCM from the bytes of docs/format.md. */
function unwrapMasterKey(stateDir: string, rootKey: Buffer, keyId: string): Buffer {
  const db = new Database(join(stateDir, 'keys.db'), { readonly: true });
  const row = db
    .prepare<[string], { wrapped: Buffer }>('SELECT wrapped FROM key_versions WHERE key_id = ?')
    .get(keyId);
  db.close();
  if (row === undefined) throw new Error(`no version of key ${keyId}`);
  return unwrap(rootKey, row.wrapped, {
    kind: 'master key',
    key_id: keyId,
    version: '1',
  });
}

function unwrap(key: Buffer, wrapped: Buffer, context: Record<string, string>): Buffer {
  const prefixBytes = 2 + 1 + 1 + 16 + 4;
  const nonce = wrapped.subarray(prefixBytes, prefixBytes + 12);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(Buffer.concat([wrapped.subarray(0, prefixBytes), encodeContext(context)]));
  decipher.setAuthTag(wrapped.subarray(wrapped.length - 16));
  const ciphertext = wrapped.subarray(prefixBytes + 12, wrapped.length - 16);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

function encodeContext(context: Record<string, string>): Buffer {
  const fields = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat(fields.flatMap(([name, value]) => [encode(name), encode(value)]));
}

function encode(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
