/** The records of disks and their layers. */

export type DiskKind = 'volume' | 'image' | 'snapshot';
export type VolumeState =
  | 'creating'
  | 'available'
  | 'attaching'
  | 'in-use'
  | 'detaching'
  | 'extending'
  | 'error'
  | 'deleting';
export type ImageState = 'queued' | 'saving' | 'active' | 'error' | 'deleting';
export type OnKeyLoss = 'deny' | 'until-detach' | 'suspend';

/** One container file, layers/<id>.luks. */
export interface LayerRecord {
  readonly id: string;
  /** The layer below, or null at the bottom. */
  readonly parentId: string | null;
  readonly keyId: string;
  readonly sizeBytes: number;
  readonly generation: number;
  readonly preallocated: boolean;
  readonly createdAtMs: number;
}

export interface DiskRecord {
  readonly id: string;
  readonly kind: DiskKind;
  readonly name: string;
  /** Of a snapshot: its volume. */
  readonly volumeId: string | null;
  readonly topLayerId: string;
  readonly keyId: string;
  readonly sizeBytes: number;
  readonly state: VolumeState | ImageState;
  readonly stateReason: string;
  readonly onKeyLoss: OnKeyLoss;
  readonly source: string;
  /** Of the content that it was imported with, in hexadecimal; empty where that is not known. */
  readonly sourceSha256: string;
  readonly createdAtMs: number;
}

/** Whether the kernel keeps pages of the disk's file, or every request reaches keyvol. */
export type FileCache = 'direct' | 'kernel';

/** How programs reach an attached disk: as a FUSE file, or as an NBD export. */
export type Transport = 'fuse' | 'nbd';

/** What a restart must bring back. */
export interface AttachmentRecord {
  readonly diskId: string;
  readonly readOnly: boolean;
  readonly cache: FileCache;
  readonly transport: Transport;
  /** Absolute directory when mounted. */
  readonly mountedAt: string | null;
  readonly filesystem: string | null;
  /** True when `mount` attached it, so that `unmount` detaches it. */
  readonly attachedByMount: boolean;
}
