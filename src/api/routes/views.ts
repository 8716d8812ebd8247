/** From the records of the domain to what goes over the wire. */
import type { KeyChange, KeyService, KeyState, MasterKey } from '../../kms/key-service.js';
import type {
  ImpactedDisk,
  CreatedDisk,
  DeletedDisk,
  DiskDetails,
  DiskExport as Target,
  ExportedDisk,
} from '../../volume/volumes.js';
import { Fault } from '../../fault.js';
import type {
  AttachmentView,
  Created,
  DeleteView,
  DiskExport,
  DiskView,
  ExportView,
  ImpactView,
  KeyChangeView,
  KeyView,
} from '../types.js';

const dayMs = 24 * 60 * 60 * 1000;

/** The cloud API's number of each state. */
const numberOfState: Record<KeyState, string> = {
  enabled: '2',
  disabled: '3',
  'pending-deletion': '4',
  'pending-import': '5',
};

export function keyView(key: MasterKey): KeyView {
  return {
    id: key.id,
    name: key.alias,
    description: key.description,
    state: key.state,
    key_state: numberOfState[key.state],
    default: key.isDefault,
    origin: key.origin,
    spec: key.keySpec,
    version: key.version,
    created_at: isoTime(key.createdAtMs),
    ...defined({
      deletion_at: key.deletionAtMs === undefined ? undefined : isoTime(key.deletionAtMs),
      deletion_days_left:
        key.deletionLeftMs === undefined ? undefined : Math.ceil(key.deletionLeftMs / dayMs),
    }),
  };
}

export function keyChangeView(change: KeyChange): KeyChangeView {
  return {
    key: keyView(change.key),
    changed: change.changed,
    disks: change.disks.map((disk) => ({
      disk: disk.disk,
      kind: disk.kind,
      outcome: disk.outcome,
      took_ms: disk.tookMs,
      ...defined({ detail: disk.detail }),
    })),
    took_ms: change.tookMs,
    ...defined({ unrecorded: change.unrecorded }),
  };
}

export function impactView(key: MasterKey, disks: readonly ImpactedDisk[]): ImpactView {
  return {
    key: keyView(key),
    disks: disks.map((disk) => ({
      name: disk.name,
      kind: disk.kind,
      state: disk.state,
      attached: disk.attached,
      ...defined({ mounted_at: disk.mountedAt }),
    })),
  };
}

export function diskView(details: DiskDetails, keys: KeyService): DiskView {
  const { record } = details;
  return {
    id: record.id,
    name: record.name,
    kind: record.kind,
    state: record.state,
    size: record.sizeBytes,
    used: details.usedBytes,
    shared: details.sharedBytes,
    layers: details.layerCount,
    key_id: record.keyId,
    ...keyOf(record.keyId, keys),
    created_at: isoTime(record.createdAtMs),
    health: { ...details.health },
    ...defined({
      state_reason: record.stateReason === '' ? undefined : record.stateReason,
      source: record.source === '' ? undefined : record.source,
      source_sha256: record.sourceSha256 === '' ? undefined : record.sourceSha256,
      on_key_loss: record.kind === 'volume' ? record.onKeyLoss : undefined,
      volume: details.volumeName,
      attachment: attachmentView(details),
    }),
  };
}

export function createdView(created: CreatedDisk, keys: KeyService): Created<DiskView> {
  return { created: diskView(created.disk, keys), remarks: [...created.remarks] };
}

export function deleteView(deleted: DeletedDisk): DeleteView {
  return {
    name: deleted.name,
    kept_layers: deleted.keptLayers,
    needed_by: [...deleted.neededBy],
  };
}

/** Throws INVALID_ARGUMENT for what does not go with the format, or is missing for it. */
export function diskExport(asked: DiskExport): Target {
  const { file, format = 'raw', plaintext, passphrase_socket: passphraseSocket, pbkdf } = asked;
  const refuse = (what: string): never => {
    throw new Fault('INVALID_ARGUMENT', `an export as ${format} ${what}`);
  };
  if (format === 'raw') {
    if (passphraseSocket !== undefined) return refuse('has no passphrase');
    if (pbkdf !== undefined) return refuse('has no pbkdf');
    return { format, file, plaintext: plaintext ?? false };
  }
  if (plaintext === true) return refuse('is not plaintext');
  if (passphraseSocket === undefined) return refuse('needs a passphrase_socket');
  return { format, file, passphraseSocket, pbkdf: pbkdf ?? 'pbkdf2' };
}

export function exportView({ file, sizeBytes, dataBytes }: ExportedDisk): ExportView {
  return { file, size: sizeBytes, data: dataBytes };
}

type Defined<Fields> = {
  [Name in keyof Fields as undefined extends Fields[Name] ? Name : never]?: Exclude<
    Fields[Name],
    undefined
  >;
} & { [Name in keyof Fields as undefined extends Fields[Name] ? never : Name]: Fields[Name] };

/** The fields that have a value: an absent one must not be there at all. */
export function defined<Fields extends object>(fields: Fields): Defined<Fields> {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  // Exactly the fields whose value may be undefined may be missing, which is what Defined says.
  return Object.fromEntries(present) as Defined<Fields>;
}

function attachmentView({ attachment }: DiskDetails): AttachmentView | undefined {
  if (attachment === undefined) return undefined;
  return {
    transport: attachment.transport,
    read_only: attachment.readOnly,
    cache: attachment.cache,
    gate: attachment.gate,
    poisoned: attachment.poisoned,
    ...defined({
      path: attachment.path,
      uri: attachment.uri,
      mounted_at: attachment.mountedAt,
      filesystem: attachment.filesystem,
    }),
  };
}

/** A deleted key has no name any more; its disks still show whose they were. */
function keyOf(keyId: string, keys: KeyService): { key_name: string; key_state: string } {
  try {
    const key = keys.findKey(keyId);
    return { key_name: key.alias, key_state: key.state };
  } catch (error) {
    if (error instanceof Fault && isGone(error)) return { key_name: keyId, key_state: 'deleted' };
    throw error;
  }
}

function isGone(fault: Fault): boolean {
  return fault.code === 'KEY_NOT_FOUND' || fault.code === 'KEY_DELETED';
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
