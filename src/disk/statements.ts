/** The writes to disks.db, each a statement that a caller puts into its transaction. */
import type { Statement } from '../store/store.js';
import type { AttachmentRecord, DiskRecord, LayerRecord, OnKeyLoss } from './records.js';

export function insertLayer(layer: LayerRecord): Statement {
  return {
    sql: `INSERT INTO layers (id, parent_id, key_id, size_bytes, generation, preallocated,
      created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    params: [
      layer.id,
      layer.parentId,
      layer.keyId,
      layer.sizeBytes,
      layer.generation,
      layer.preallocated ? 1 : 0,
      layer.createdAtMs,
    ],
  };
}

export function deleteLayer(id: string): Statement {
  return { sql: 'DELETE FROM layers WHERE id = ?', params: [id] };
}

/** A container is about to be made: until its layer is inserted, a start may remove it. */
export function insertUnclaimed(layerId: string): Statement {
  return { sql: 'INSERT INTO unclaimed (layer_id) VALUES (?)', params: [layerId] };
}

/** The container is gone for sure. */
export function deleteUnclaimed(layerId: string): Statement {
  return { sql: 'DELETE FROM unclaimed WHERE layer_id = ?', params: [layerId] };
}

export function insertDisk(disk: DiskRecord): Statement {
  return {
    sql: `INSERT INTO disks (id, kind, name, volume_id, top_layer_id, key_id, size_bytes, state,
      state_reason, on_key_loss, source, source_sha256, created_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    params: [
      disk.id,
      disk.kind,
      disk.name,
      disk.volumeId,
      disk.topLayerId,
      disk.keyId,
      disk.sizeBytes,
      disk.state,
      disk.stateReason,
      disk.onKeyLoss,
      disk.source,
      disk.sourceSha256,
      disk.createdAtMs,
    ],
  };
}

export function deleteDisk(id: string): Statement {
  return { sql: 'DELETE FROM disks WHERE id = ?', params: [id] };
}

export function setTopLayer(diskId: string, layer: LayerRecord): Statement {
  return {
    sql: 'UPDATE disks SET top_layer_id = ?, size_bytes = ? WHERE id = ?',
    params: [layer.id, layer.sizeBytes, diskId],
  };
}

export function setName(diskId: string, name: string): Statement {
  return { sql: 'UPDATE disks SET name = ? WHERE id = ?', params: [name, diskId] };
}

export function setPolicy(diskId: string, policy: OnKeyLoss): Statement {
  return { sql: 'UPDATE disks SET on_key_loss = ? WHERE id = ?', params: [policy, diskId] };
}

export function setState(diskId: string, state: DiskRecord['state'], reason = ''): Statement {
  return {
    sql: 'UPDATE disks SET state = ?, state_reason = ? WHERE id = ?',
    params: [state, reason, diskId],
  };
}

/** A volume that is not in error changes its state; an image stays active while attached. */
export function setVolumeUse(diskId: string, state: 'available' | 'in-use'): Statement {
  return {
    sql: `UPDATE disks SET state = ? WHERE id = ? AND kind = 'volume' AND state <> 'error'`,
    params: [state, diskId],
  };
}

/** Every disk of a key, when the key is gone. */
export function setErrorOfKey(keyId: string, reason: string): Statement {
  return {
    sql: `UPDATE disks SET state = 'error', state_reason = ? WHERE key_id = ?`,
    params: [reason, keyId],
  };
}

export function putAttachment(attachment: AttachmentRecord): Statement {
  return {
    sql: `INSERT OR REPLACE INTO attachments (disk_id, read_only, cache, transport, mounted_at,
      filesystem, attached_by_mount) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    params: [
      attachment.diskId,
      attachment.readOnly ? 1 : 0,
      attachment.cache,
      attachment.transport,
      attachment.mountedAt,
      attachment.filesystem,
      attachment.attachedByMount ? 1 : 0,
    ],
  };
}

export function deleteAttachment(diskId: string): Statement {
  return { sql: 'DELETE FROM attachments WHERE disk_id = ?', params: [diskId] };
}
