/** The rows of keys.db: how they are read, and the statements that change them. */
import type { Statement, Store } from '../store/store.js';
import type { KeyOrigin, KeyState } from './key-service.js';

export interface KeyRow {
  readonly id: string;
  readonly alias: string;
  readonly description: string;
  readonly origin: KeyOrigin;
  readonly state: KeyState;
  readonly isDefault: 0 | 1;
  readonly createdAtMs: number;
  readonly windowMs: number | null;
  readonly countedMs: number | null;
  /** Newest version; 0 without material. */
  readonly version: number;
}

export interface KeyVersionRow {
  readonly version: number;
  readonly wrapped: Buffer;
  readonly wrapCount: number;
}

export interface DeletedKeyRow {
  readonly id: string;
  readonly alias: string;
  readonly deletedAtMs: number;
}

const selectKeys = `
SELECT id, alias, description, origin, state, is_default AS isDefault,
  created_at_ms AS createdAtMs, deletion_window_ms AS windowMs, deletion_counted_ms AS countedMs,
  (SELECT coalesce(max(version), 0) FROM key_versions WHERE key_id = id) AS version
FROM keys`;

export function allKeys(store: Store): KeyRow[] {
  return store.all<KeyRow>(`${selectKeys} ORDER BY created_at_ms, alias`);
}

export function keyById(store: Store, id: string): KeyRow | undefined {
  return store.get<KeyRow>(`${selectKeys} WHERE id = ?`, id);
}

export function keyByAlias(store: Store, alias: string): KeyRow | undefined {
  return store.get<KeyRow>(`${selectKeys} WHERE alias = ?`, alias);
}

export function deletedKey(store: Store, id: string): DeletedKeyRow | undefined {
  const sql = 'SELECT id, alias, deleted_at_ms AS deletedAtMs FROM deleted_keys WHERE id = ?';
  return store.get<DeletedKeyRow>(sql, id);
}

export function keyVersion(
  store: Store,
  keyId: string,
  version: number,
): KeyVersionRow | undefined {
  const sql = `SELECT version, wrapped, wrap_count AS wrapCount FROM key_versions
               WHERE key_id = ? AND version = ?`;
  return store.get<KeyVersionRow>(sql, keyId, version);
}

export function recordedGeneration(store: Store, layerId: string): number | undefined {
  const sql = 'SELECT generation FROM layer_generations WHERE layer_id = ?';
  return store.get<{ generation: number }>(sql, layerId)?.generation;
}

type NewRow = Omit<KeyRow, 'windowMs' | 'countedMs' | 'version'>;

export function insertKey(key: NewRow): Statement {
  return {
    sql: `INSERT INTO keys (id, alias, description, origin, state, is_default, created_at_ms)
          VALUES (?, ?, ?, ?, ?, ?, ?)`,
    params: [
      key.id,
      key.alias,
      key.description,
      key.origin,
      key.state,
      key.isDefault,
      key.createdAtMs,
    ],
  };
}

export function insertVersion(
  keyId: string,
  version: number,
  wrapped: Buffer,
  createdAtMs: number,
): Statement {
  return {
    sql: `INSERT INTO key_versions (key_id, version, wrapped, created_at_ms) VALUES (?, ?, ?, ?)`,
    params: [keyId, version, wrapped, createdAtMs],
  };
}

/** Leaving "pending-deletion" also forgets the window. */
export function setState(keyId: string, state: KeyState, windowMs?: number): Statement {
  const counted = windowMs === undefined ? null : 0;
  return {
    sql: `UPDATE keys SET state = ?, deletion_window_ms = ?, deletion_counted_ms = ? WHERE id = ?`,
    params: [state, windowMs ?? null, counted, keyId],
  };
}

export function setAlias(keyId: string, alias: string): Statement {
  return { sql: 'UPDATE keys SET alias = ? WHERE id = ?', params: [alias, keyId] };
}

export function setDescription(keyId: string, description: string): Statement {
  return { sql: 'UPDATE keys SET description = ? WHERE id = ?', params: [description, keyId] };
}

export function addCountedMs(keyId: string, elapsedMs: number): Statement {
  return {
    sql: `UPDATE keys SET deletion_counted_ms = deletion_counted_ms + ?
          WHERE id = ? AND state = 'pending-deletion'`,
    params: [elapsedMs, keyId],
  };
}

export function countWrap(keyId: string, version: number): Statement {
  return {
    sql: 'UPDATE key_versions SET wrap_count = wrap_count + 1 WHERE key_id = ? AND version = ?',
    params: [keyId, version],
  };
}

/**
 * The highest generation ever seen of a layer stays, after the layer is deleted too: who puts back
 * an older disks.db and an older container must not get an older header accepted. A row is some
 * 100 bytes, and goes with its key.
 */
export function recordGeneration(layerId: string, keyId: string, generation: number): Statement {
  return {
    sql: `INSERT INTO layer_generations (layer_id, key_id, generation) VALUES (?, ?, ?)
          ON CONFLICT (layer_id) DO UPDATE SET generation = max(generation, excluded.generation)`,
    params: [layerId, keyId, generation],
  };
}

/** The key's rows go, in the order of their references; its id and name are remembered. */
export function deleteKey(key: KeyRow, nowMs: number): Statement[] {
  return [
    { sql: 'DELETE FROM key_versions WHERE key_id = ?', params: [key.id] },
    { sql: 'DELETE FROM layer_generations WHERE key_id = ?', params: [key.id] },
    { sql: 'DELETE FROM keys WHERE id = ?', params: [key.id] },
    {
      sql: 'INSERT INTO deleted_keys (id, alias, deleted_at_ms) VALUES (?, ?, ?)',
      params: [key.id, key.alias, nowMs],
    },
  ];
}
