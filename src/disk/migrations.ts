/** The schema of disks.db, step by step; never edit a step that was released. */
export const diskMigrations: readonly string[] = [
  `
  CREATE TABLE layers (
    id TEXT PRIMARY KEY,
    parent_id TEXT REFERENCES layers (id),
    key_id TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    preallocated INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX layers_by_parent ON layers (parent_id);

  CREATE TABLE disks (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('volume', 'image', 'snapshot')),
    name TEXT NOT NULL,
    volume_id TEXT REFERENCES disks (id),
    top_layer_id TEXT NOT NULL REFERENCES layers (id),
    key_id TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    on_key_loss TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CHECK ((kind = 'snapshot') = (volume_id IS NOT NULL))
  ) STRICT;
  CREATE UNIQUE INDEX disks_by_name ON disks (kind, ifnull(volume_id, ''), name);
  CREATE INDEX disks_by_key ON disks (key_id);

  CREATE TABLE attachments (
    disk_id TEXT PRIMARY KEY REFERENCES disks (id),
    read_only INTEGER NOT NULL,
    mounted_at TEXT,
    filesystem TEXT,
    attached_by_mount INTEGER NOT NULL
  ) STRICT;
  `,
  // Ids of containers that may be on the disk with no layer: about to be made, or to be removed.
  // The triggers keep it true in every transaction that makes or ends a layer.
  `
  CREATE TABLE unclaimed (layer_id TEXT PRIMARY KEY) STRICT;
  CREATE TRIGGER layer_claims_container AFTER INSERT ON layers
    BEGIN DELETE FROM unclaimed WHERE layer_id = NEW.id; END;
  CREATE TRIGGER layer_leaves_container AFTER DELETE ON layers
    BEGIN INSERT OR IGNORE INTO unclaimed (layer_id) VALUES (OLD.id); END;
  `,
  `
  ALTER TABLE attachments ADD COLUMN cache TEXT NOT NULL DEFAULT 'direct';
  `,
  `
  ALTER TABLE attachments ADD COLUMN transport TEXT NOT NULL DEFAULT 'fuse';
  `,
  `
  ALTER TABLE disks ADD COLUMN source_sha256 TEXT NOT NULL DEFAULT '';
  `,
];
