/** What the rest of keyvol sees of volumes: verbs in, records out. */
import type { Pbkdf } from '../device/index.js';
import type { DiskKind, DiskRecord, FileCache, OnKeyLoss, Transport } from '../disk/records.js';
import type { Caller } from '../kms/key-service.js';
import type { ImageFormat } from '../source/format.js';
import type { CheckReport, DiskCheck } from './check-report.js';
import type { DiskHealth } from './health.js';

export interface HowShown {
  readonly cache: FileCache;
  readonly transport: Transport;
}

export interface FileSettings extends HowShown {
  readonly readOnly: boolean;
}

export interface AttachmentDetails {
  readonly transport: Transport;
  /** Of its file; with `fuse`. */
  readonly path?: string;
  /** With `nbd`. */
  readonly uri?: string;
  readonly readOnly: boolean;
  readonly cache: FileCache;
  readonly gate: 'open' | 'held' | 'closed';
  readonly poisoned: boolean;
  readonly mountedAt?: string;
  readonly filesystem?: string;
}

/** Everything a view of a disk needs, but its key. */
export interface DiskDetails {
  readonly record: DiskRecord;
  /** Host bytes of the layers only this disk needs. */
  readonly usedBytes: number;
  /** Host bytes of the layers it shares with other disks. */
  readonly sharedBytes: number;
  readonly layerCount: number;
  /** Of a snapshot: the name of its volume. */
  readonly volumeName?: string;
  readonly attachment?: AttachmentDetails;
  readonly health: DiskHealth;
}

export interface NewVolume {
  readonly name: string;
  /** May be left out with a source; never smaller than the source. */
  readonly sizeBytes?: number;
  /** Key name or id; refused with KEY_NOT_CHOOSABLE where the key is inherited. */
  readonly key?: string;
  /** At most one of `image`, `snapshot` (V@SNAP), `file` (absolute path). */
  readonly image?: string;
  readonly snapshot?: string;
  readonly file?: string;
  /** Of `file`; without it, what its name ends in. */
  readonly format?: ImageFormat;
  readonly preallocate?: boolean;
  readonly onKeyLoss?: OnKeyLoss;
}

export interface DiskProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** How a long call tells how far it is and hears that it should stop. */
export interface LongCall {
  readonly onProgress?: (progress: DiskProgress) => void;
  readonly signal?: AbortSignal;
}

export interface CreatedDisk {
  readonly disk: DiskDetails;
  /** For the user: "padded by 512 bytes to a multiple of 4096". */
  readonly remarks: readonly string[];
}

export interface DeletedDisk {
  readonly name: string;
  /** Layers that stay because other disks need them. */
  readonly keptLayers: number;
  /** "volume web", "image debian", "snapshot db@monday". */
  readonly neededBy: readonly string[];
}

export interface MountRequest {
  /** Absolute path of an existing directory. */
  readonly directory: string;
  readonly mkfs?: string;
  readonly readOnly?: boolean;
}

export interface ImpactedDisk {
  /** "db", or "db@monday" for a snapshot. */
  readonly name: string;
  readonly kind: DiskKind;
  readonly state: string;
  readonly attached: boolean;
  readonly mountedAt?: string;
}

export interface Resize {
  readonly sizeBytes: number;
  /** Of a mounted volume. */
  readonly growFilesystem?: boolean;
  /** It may become smaller: what it holds beyond its new end is lost. */
  readonly shrink?: boolean;
  /** The volume's name, without which it does not become smaller. */
  readonly confirm?: string;
}

/** What of a disk goes where: `file` is the absolute path of a new file. */
export type DiskExport = RawExport | Luks2Export;

export interface RawExport {
  readonly format: 'raw';
  readonly file: string;
  /** That it is not encrypted is meant so. */
  readonly plaintext: boolean;
}

export interface Luks2Export {
  readonly format: 'luks2';
  readonly file: string;
  /** The Unix socket that gives the passphrase, and nothing else, and ends. */
  readonly passphraseSocket: string;
  readonly pbkdf: Pbkdf;
}

export interface ExportedDisk {
  readonly file: string;
  readonly sizeBytes: number;
  /** Of those that are no holes; all of them in a LUKS2 file. */
  readonly dataBytes: number;
}

/** Volumes are found by name or id; every verb throws VOLUME_NOT_FOUND with a near miss. */
export interface Volumes {
  create(volume: NewVolume, caller: Caller, call?: LongCall): Promise<CreatedDisk>;
  clone(volume: string, name: string, caller: Caller): Promise<DiskDetails>;
  list(): Promise<DiskDetails[]>;
  show(volume: string): Promise<DiskDetails>;
  rename(volume: string, name: string, caller: Caller): Promise<DiskDetails>;
  setOnKeyLoss(volume: string, policy: OnKeyLoss, caller: Caller): Promise<DiskDetails>;
  attach(volume: string, options: Partial<FileSettings>, caller: Caller): Promise<DiskDetails>;
  detach(volume: string, options: { force?: boolean }, caller: Caller): Promise<DiskDetails>;
  mount(volume: string, request: MountRequest, caller: Caller): Promise<DiskDetails>;
  unmount(volume: string, caller: Caller): Promise<DiskDetails>;
  delete(volume: string, caller: Caller): Promise<DeletedDisk>;
  /** Larger while it is in use or not; smaller only detached, asked for and confirmed. */
  resize(volume: string, resize: Resize, caller: Caller): Promise<DiskDetails>;
  /** Of a volume that is not attached, or of a snapshot (V@SNAP): privileged. */
  export(
    volume: string,
    target: DiskExport,
    caller: Caller,
    call?: LongCall,
  ): Promise<ExportedDisk>;
  /** Of a volume, or of a snapshot (V@SNAP). Attached it is neither repaired, nor are its data read. */
  check(volume: string, request: DiskCheck, caller: Caller, call?: LongCall): Promise<CheckReport>;
  /**
   * Fills the container's holes and writes the raw data key to a new file: privileged. Answers
   * with the absolute paths of the key file and of the container.
   */
  exportKey(
    volume: string,
    file: string,
    caller: Caller,
    call?: LongCall,
  ): Promise<{ file: string; container: string }>;
}
