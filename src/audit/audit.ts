/** The record that key and disk operations were done or refused. Holds no secrets. */
import type { Statement, Store } from '../store/store.js';

/** What was asked; the names of key operations are those of the modelled cloud. */
export type AuditAction =
  | 'createKey'
  | 'enableKey'
  | 'disableKey'
  | 'cutOffDisks'
  | 'reopenDisks'
  | 'scheduleKeyDeletion'
  | 'cancelKeyDeletion'
  | 'updateKeyAlias'
  | 'updateKeyDescription'
  | 'deleteKey'
  | 'useKey'
  | 'createDataKey'
  | 'decryptDatakey'
  | 'exportKey'
  | 'createVolume'
  | 'updateVolume'
  | 'attachVolume'
  | 'detachVolume'
  | 'mountVolume'
  | 'unmountVolume'
  | 'exportVolume'
  | 'deleteVolume'
  | 'checkVolume'
  | 'createSnapshot'
  | 'rollbackSnapshot'
  | 'deleteSnapshot'
  | 'createImage'
  | 'updateImage'
  | 'attachImage'
  | 'detachImage'
  | 'mountImage'
  | 'unmountImage'
  | 'copyImage'
  | 'exportImage'
  | 'deleteImage'
  | 'checkImage'
  | 'repairHeader';

export interface AuditRecord {
  readonly timeMs: number;
  readonly principal: string;
  readonly action: AuditAction;
  /** What it was done to, for example "app-db (0b7e…)". */
  readonly resource: string;
  readonly result: 'allowed' | 'refused';
  /** The fault code of a refusal, or a remark. */
  readonly detail: string;
}

export interface AuditEntry extends AuditRecord {
  /** Rises by at least one with every record, in the order of commits. */
  readonly sequence: number;
}

/** A migration of the database that shares its transactions with the records. */
export const auditMigration = `
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ms INTEGER NOT NULL,
  principal TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  result TEXT NOT NULL CHECK (result IN ('allowed', 'refused')),
  detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps_records BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'audit records are never deleted'); END;
CREATE TRIGGER audit_changes_nothing BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END;
CREATE TRIGGER audit_replaces_nothing BEFORE INSERT ON audit
  WHEN EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence)
  BEGIN SELECT RAISE(ABORT, 'audit records are never replaced'); END;
`;

/** For the same commit as what it tells of. */
export function auditStatement(record: AuditRecord): Statement {
  return {
    sql: `INSERT INTO audit (time_ms, principal, action, resource, result, detail)
          VALUES (?, ?, ?, ?, ?, ?)`,
    params: [
      record.timeMs,
      printable(record.principal),
      record.action,
      printable(record.resource),
      record.result,
      printable(record.detail),
    ],
  };
}

export interface AuditQuery {
  /** The newest so many. Default 100. */
  readonly limit?: number;
  /** Only records after this one. */
  readonly sinceSequence?: number;
}

/** Oldest first. With `sinceSequence` the first `limit` records after it, else the newest. */
export function listAudit(store: Store, query: AuditQuery = {}): AuditEntry[] {
  const { limit = 100, sinceSequence } = query;
  if (sinceSequence !== undefined) {
    const sql = `SELECT ${columns} FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`;
    return store.all<AuditEntry>(sql, sinceSequence, limit);
  }
  const newest = `SELECT ${columns} FROM audit ORDER BY sequence DESC LIMIT ?`;
  return store.all<AuditEntry>(newest, limit).reverse();
}

/** Of the newest record; 0 when there is none. */
export function lastAuditSequence(store: Store): number {
  const row = store.get<{ last: number | null }>('SELECT max(sequence) AS last FROM audit');
  return row?.last ?? 0;
}

const columns = 'sequence, time_ms AS timeMs, principal, action, resource, result, detail';

const maxFieldLength = 1024;
// Control characters, line separators, and what reverses or hides text on a terminal.
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu;

/** One line whatever a caller sent, and never longer than a record may be. */
function printable(text: string): string {
  return text.slice(0, maxFieldLength).replace(unprintable, escaped);
}

function escaped(character: string): string {
  if (character === '\\') return '\\\\';
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
