/** What the rest of keyvol sees of images and snapshots. */
import type { Caller } from '../kms/key-service.js';
import type { ImageFormat } from '../source/format.js';
import type { CheckReport, DiskCheck } from '../volume/check-report.js';
import type {
  CreatedDisk,
  DeletedDisk,
  DiskDetails,
  DiskExport,
  ExportedDisk,
  HowShown,
  LongCall,
} from '../volume/volumes.js';

export interface NewImage {
  readonly name: string;
  /** Exactly one of `volume`, `snapshot` (V@SNAP), `file` (absolute path). */
  readonly volume?: string;
  readonly snapshot?: string;
  readonly file?: string;
  /** Of `file`; without it, what its name ends in. */
  readonly format?: ImageFormat;
  /** Only with `file`; else refused with KEY_NOT_CHOOSABLE. */
  readonly key?: string;
}

export interface ImageCopy {
  readonly name: string;
  /** Name or id of a key that is not the image's own: SAME_KEY. */
  readonly key: string;
}

/** Images are found by name or id; every verb throws IMAGE_NOT_FOUND with a near miss. */
export interface Images {
  create(image: NewImage, caller: Caller, call?: LongCall): Promise<CreatedDisk>;
  list(): Promise<DiskDetails[]>;
  show(image: string): Promise<DiskDetails>;
  rename(image: string, name: string, caller: Caller): Promise<DiskDetails>;
  attach(image: string, options: Partial<HowShown>, caller: Caller): Promise<DiskDetails>;
  detach(image: string, options: { force?: boolean }, caller: Caller): Promise<DiskDetails>;
  mount(image: string, directory: string, caller: Caller): Promise<DiskDetails>;
  unmount(image: string, caller: Caller): Promise<DiskDetails>;
  /** Attached or not: another image of the same content under another master key. */
  copy(image: string, copy: ImageCopy, caller: Caller, call?: LongCall): Promise<CreatedDisk>;
  /** Attached or not: privileged. */
  export(image: string, target: DiskExport, caller: Caller, call?: LongCall): Promise<ExportedDisk>;
  /** Attached it is not repaired. */
  check(image: string, request: DiskCheck, caller: Caller, call?: LongCall): Promise<CheckReport>;
  delete(image: string, caller: Caller): Promise<DeletedDisk>;
}

/** A snapshot is called "V@SNAP", V a name or id, or is found by its own id. */
export interface Snapshots {
  create(snapshot: string, caller: Caller): Promise<DiskDetails>;
  /** Of one volume, or all. */
  list(volume?: string): Promise<DiskDetails[]>;
  show(snapshot: string): Promise<DiskDetails>;
  /** The volume, rolled back. It must be available, that is, detached. */
  rollback(snapshot: string, caller: Caller): Promise<DiskDetails>;
  delete(snapshot: string, caller: Caller): Promise<DeletedDisk>;
}
