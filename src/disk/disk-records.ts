/** The records of disks.db: reads answer at once, writes are statements for one transaction. */
import { Fault, type FaultCode } from '../fault.js';
import type { Statement, Store } from '../store/store.js';
import { nearMiss, splitSnapshotName } from './names.js';
import type { AttachmentRecord, DiskKind, DiskRecord, LayerRecord } from './records.js';

const notFoundCode: Record<DiskKind, FaultCode> = {
  volume: 'VOLUME_NOT_FOUND',
  image: 'IMAGE_NOT_FOUND',
  snapshot: 'SNAPSHOT_NOT_FOUND',
};
const existsCode: Record<DiskKind, FaultCode> = {
  volume: 'VOLUME_EXISTS',
  image: 'IMAGE_EXISTS',
  snapshot: 'SNAPSHOT_EXISTS',
};

const diskColumns = `id, kind, name, volume_id AS volumeId, top_layer_id AS topLayerId,
  key_id AS keyId, size_bytes AS sizeBytes, state, state_reason AS stateReason,
  on_key_loss AS onKeyLoss, source, source_sha256 AS sourceSha256,
  created_at_ms AS createdAtMs`;
const layerColumns = `id, parent_id AS parentId, key_id AS keyId, size_bytes AS sizeBytes,
  generation, preallocated, created_at_ms AS createdAtMs`;
const attachmentColumns = `disk_id AS diskId, read_only AS readOnly, cache, transport, mounted_at AS mountedAt,
  filesystem, attached_by_mount AS attachedByMount`;

type LayerRow = Omit<LayerRecord, 'preallocated'> & { readonly preallocated: number };
type AttachmentRow = Omit<AttachmentRecord, 'readOnly' | 'attachedByMount'> & {
  readonly readOnly: number;
  readonly attachedByMount: number;
};

export class DiskRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** All in one transaction, durable when the promise resolves. */
  commit(statements: readonly Statement[]): Promise<void> {
    return this.#store.commit(statements);
  }

  /** What `read` reads is of one moment. It must not wait. */
  atOneMoment<Result>(read: () => Result): Result {
    return this.#store.atOneMoment(read);
  }

  disks(): DiskRecord[] {
    return this.#store.all<DiskRecord>(`SELECT ${diskColumns} FROM disks ORDER BY name, id`);
  }

  disksOfKind(kind: DiskKind): DiskRecord[] {
    const sql = `SELECT ${diskColumns} FROM disks WHERE kind = ? ORDER BY name, id`;
    return this.#store.all<DiskRecord>(sql, kind);
  }

  disksOfKey(keyId: string): DiskRecord[] {
    const sql = `SELECT ${diskColumns} FROM disks WHERE key_id = ? ORDER BY kind DESC, name, id`;
    return this.#store.all<DiskRecord>(sql, keyId);
  }

  snapshotsOf(volumeId: string): DiskRecord[] {
    const sql = `SELECT ${diskColumns} FROM disks WHERE volume_id = ? ORDER BY created_at_ms, name`;
    return this.#store.all<DiskRecord>(sql, volumeId);
  }

  disk(id: string): DiskRecord | undefined {
    return this.#store.get<DiskRecord>(`SELECT ${diskColumns} FROM disks WHERE id = ?`, id);
  }

  /** A volume or image by name or id; throws the kind's not-found fault with a near miss. */
  find(kind: 'volume' | 'image', nameOrId: string): DiskRecord {
    const sql = `SELECT ${diskColumns} FROM disks WHERE kind = ? AND (name = ? OR id = ?)`;
    const found = this.#store.get<DiskRecord>(sql, kind, nameOrId, nameOrId.toLowerCase());
    return found ?? this.#refuseUnknown(kind, nameOrId, this.disksOfKind(kind));
  }

  /** A snapshot by "V@SNAP" or by its own id. */
  findSnapshot(nameOrId: string): DiskRecord {
    const byId = this.disk(nameOrId.toLowerCase());
    if (byId?.kind === 'snapshot') return byId;
    const { volume, snapshot } = splitSnapshotName(nameOrId);
    const siblings = this.snapshotsOf(this.find('volume', volume).id);
    const found = siblings.find((sibling) => sibling.name === snapshot);
    return found ?? this.#refuseUnknown('snapshot', nameOrId, siblings, snapshot);
  }

  /** Throws VOLUME_EXISTS and so on when the name is taken; `volumeId` for a snapshot. */
  assertNameFree(kind: DiskKind, name: string, volumeId: string | null = null): void {
    const sql = `SELECT id FROM disks WHERE kind = ? AND name = ? AND volume_id IS ?`;
    if (this.#store.get(sql, kind, name, volumeId) === undefined) return;
    const volume = volumeId === null ? undefined : this.disk(volumeId)?.name;
    const shown = volume === undefined ? name : `${volume}@${name}`;
    throw new Fault(existsCode[kind], `${kind} ${shown} exists already`, {
      hint: 'choose another name',
    });
  }

  layers(): LayerRecord[] {
    return this.#store.all<LayerRow>(`SELECT ${layerColumns} FROM layers`).map(toLayer);
  }

  /** Ids of containers that no layer has, and that may go. */
  unclaimedContainers(): string[] {
    return this.#store
      .all<{ layerId: string }>('SELECT layer_id AS layerId FROM unclaimed')
      .map(({ layerId }) => layerId);
  }

  layer(id: string): LayerRecord {
    const sql = `SELECT ${layerColumns} FROM layers WHERE id = ?`;
    const row = this.#store.get<LayerRow>(sql, id);
    if (row === undefined) throw new Fault('INTERNAL', `layer ${id} has no record`);
    return toLayer(row);
  }

  /** The layers under `topLayerId`, top first. */
  stack(topLayerId: string): LayerRecord[] {
    const stack: LayerRecord[] = [];
    let next: string | null = topLayerId;
    while (next !== null) {
      const layer: LayerRecord = this.layer(next);
      stack.push(layer);
      next = layer.parentId;
    }
    return stack;
  }

  attachments(): AttachmentRecord[] {
    return this.#store
      .all<AttachmentRow>(`SELECT ${attachmentColumns} FROM attachments ORDER BY disk_id`)
      .map(toAttachment);
  }

  attachment(diskId: string): AttachmentRecord | undefined {
    const sql = `SELECT ${attachmentColumns} FROM attachments WHERE disk_id = ?`;
    const row = this.#store.get<AttachmentRow>(sql, diskId);
    return row === undefined ? undefined : toAttachment(row);
  }

  #refuseUnknown(
    kind: DiskKind,
    asked: string,
    existing: readonly DiskRecord[],
    shortName: string = asked,
  ): never {
    const near = nearMiss(
      shortName,
      existing.map((disk) => disk.name),
    );
    const hint = near === undefined ? `keyvol ${kind} list shows them` : `did you mean ${near}?`;
    throw new Fault(notFoundCode[kind], `there is no ${kind} ${asked}`, { hint });
  }
}

function toLayer(row: LayerRow): LayerRecord {
  return { ...row, preallocated: row.preallocated !== 0 };
}

function toAttachment(row: AttachmentRow): AttachmentRecord {
  return { ...row, readOnly: row.readOnly !== 0, attachedByMount: row.attachedByMount !== 0 };
}
