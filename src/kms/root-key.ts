/** The root key: a file that wraps every master key, and the proof that it is the right one. */
import { randomUUID } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { addon } from '../device/index.js';
import { Fault } from '../fault.js';
import type { Secret } from '../device/index.js';
import type { Store } from '../store/store.js';

export interface RootKey {
  readonly id: string;
  /** Its owner releases it. */
  readonly secret: Secret;
  /** True when the file was made just now, so that its backup must be asked for. */
  readonly created: boolean;
}

interface RootKeyRow {
  readonly id: string;
  readonly probe: Buffer;
}

const rootKeyVersion = 1;

/** What to tell the user when `path` was made. */
export function rootKeyWarning(path: string): string {
  return (
    `a new root key is in ${path}: back it up now, without it every encrypted disk is lost; ` +
    `it protects only against loss of the disk that holds the volumes but not this file`
  );
}

/**
 * Loads the root key at `path`, or makes it for an empty database. Throws KEY_FILE_INVALID when
 * the file is missing though the database needs it, is not private, or is not the right one.
 */
export async function openRootKey(store: Store, path: string): Promise<RootKey> {
  // Of a start that was cut short; what it was to become has its name, or was never used.
  rmSync(`${path}.new`, { force: true });
  const row = store.get<RootKeyRow>('SELECT id, probe FROM root_key');
  if (row === undefined) return beginRootKey(store, path);
  if (!existsSync(path)) throw missing(path);
  const secret = addon.loadKeyFile(path);
  try {
    assertRightKey(secret, row, path);
    return { id: row.id, secret, created: false };
  } catch (error) {
    secret.release();
    throw error;
  }
}

/** A file that is there already was put there by the user, or by a start that was cut short. */
async function beginRootKey(store: Store, path: string): Promise<RootKey> {
  if (store.get('SELECT 1 FROM keys') !== undefined) throw unproven(path);
  const created = !existsSync(path);
  const secret = created ? addon.createKeyFile(path) : addon.loadKeyFile(path);
  try {
    const id = randomUUID();
    await store.commit([
      {
        sql: 'INSERT INTO root_key (one, id, probe) VALUES (1, ?, ?)',
        params: [id, makeProbe(secret, id)],
      },
    ]);
    return { id, secret, created };
  } catch (error) {
    secret.release();
    throw error;
  }
}

/** Wraps a master key version's bytes; only facts that never change are bound to it. */
export function wrapMasterKey(
  root: RootKey,
  masterKey: Secret,
  keyId: string,
  version: number,
): Buffer {
  const label = rootLabel(root.id);
  return addon.wrapKey(root.secret, masterKey, label, masterKeyContext(keyId, version));
}

/** Throws INTEGRITY_FAILED. The caller releases the secret. */
export function unwrapMasterKey(
  root: RootKey,
  wrapped: Buffer,
  keyId: string,
  version: number,
): Secret {
  return addon.unwrapKey(root.secret, wrapped, 'master-key', masterKeyContext(keyId, version));
}

const probeContext = { kind: 'root key probe' };

function makeProbe(root: Secret, rootId: string): Buffer {
  const probe = addon.randomSecret(32);
  try {
    return addon.wrapKey(root, probe, rootLabel(rootId), probeContext);
  } finally {
    probe.release();
  }
}

function assertRightKey(root: Secret, row: RootKeyRow, path: string): void {
  try {
    addon.unwrapKey(root, row.probe, 'master-key', probeContext).release();
  } catch (cause) {
    throw new Fault('KEY_FILE_INVALID', `the root key in ${path} is not the one of keys.db`, {
      cause,
      hint: `put the backup of the right root key at ${path}`,
    });
  }
}

function rootLabel(rootId: string): {
  keyId: string;
  keyVersion: number;
  purpose: 'master-key';
} {
  return { keyId: rootId, keyVersion: rootKeyVersion, purpose: 'master-key' };
}

function masterKeyContext(keyId: string, version: number): Record<string, string> {
  return { kind: 'master key', key_id: keyId, version: String(version) };
}

function missing(path: string): Fault {
  return new Fault('KEY_FILE_INVALID', `the root key ${path} is missing`, {
    hint: `put its backup at ${path}; no other key opens the keys in keys.db`,
  });
}

function unproven(path: string): Fault {
  return new Fault('KEY_FILE_INVALID', `keys.db has keys but no proof of the root key ${path}`, {
    hint: 'restore keys.db and the root key from one backup',
  });
}
