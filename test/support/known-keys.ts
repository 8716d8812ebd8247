/** Learns a master key from a stopped or running state directory, given its root key: for scans. */
import { createDecipheriv } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** The raw master key, unwrapped by Node's own AES-256-GCM from the bytes of docs/format.md. */
export function unwrapMasterKey(stateDir: string, rootKey: Buffer, keyId: string): Buffer {
  const db = new Database(join(stateDir, 'keys.db'), { readonly: true });
  const row = db
    .prepare<[string], { wrapped: Buffer }>('SELECT wrapped FROM key_versions WHERE key_id = ?')
    .get(keyId);
  db.close();
  if (row === undefined) throw new Error(`no version of key ${keyId}`);
  return unwrap(rootKey, row.wrapped, { key_id: keyId, version: '1' });
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
