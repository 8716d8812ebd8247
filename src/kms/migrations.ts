/** The tables of keys.db. A migration that was released is never edited. */
import { auditMigration } from '../audit/audit.js';

const keysMigration = `
CREATE TABLE root_key (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  -- A secret nobody needs, wrapped: only the right root key unwraps it.
  probe BLOB NOT NULL
) STRICT;
CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  alias TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('kms', 'external')),
  state TEXT NOT NULL
    CHECK (state IN ('pending-import', 'enabled', 'disabled', 'pending-deletion')),
  is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
  created_at_ms INTEGER NOT NULL,
  -- The window as asked for, and how much of it the daemon has seen pass.
  deletion_window_ms INTEGER,
  deletion_counted_ms INTEGER,
  CHECK ((state = 'pending-deletion') = (deletion_window_ms IS NOT NULL)),
  CHECK ((deletion_window_ms IS NULL) = (deletion_counted_ms IS NULL))
) STRICT;
CREATE TABLE key_versions (
  key_id TEXT NOT NULL REFERENCES keys (id),
  version INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
  wrapped BLOB NOT NULL,
  -- Random nonces used under this version, at most 2^32.
  wrap_count INTEGER NOT NULL DEFAULT 0 CHECK (wrap_count BETWEEN 0 AND 4294967296),
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (key_id, version)
) STRICT;
CREATE TABLE layer_generations (
  layer_id TEXT PRIMARY KEY,
  key_id TEXT NOT NULL REFERENCES keys (id),
  generation INTEGER NOT NULL CHECK (generation >= 0)
) STRICT;
CREATE INDEX layer_generations_by_key ON layer_generations (key_id);
-- What disks of a deleted key are told.
CREATE TABLE deleted_keys (
  id TEXT PRIMARY KEY,
  alias TEXT NOT NULL,
  deleted_at_ms INTEGER NOT NULL
) STRICT;
`;

export const keysDatabaseLogs: readonly string[] = ['audit'];

export const keysDatabaseMigrations: readonly string[] = [keysMigration + auditMigration];
