/** What goes over the API socket, as the CLI and other clients see it. Sizes are bytes, times ISO 8601. */
import type { CheckRequest, CheckView } from './check-types.js';

export interface KeyView {
  id: string;
  name: string;
  description: string;
  state: 'pending-import' | 'enabled' | 'disabled' | 'pending-deletion';
  /** The cloud API's number: 5, 2, 3, 4. */
  key_state: string;
  default: boolean;
  origin: 'kms' | 'external';
  spec: 'AES_256';
  version: number;
  created_at: string;
  deletion_at?: string;
  deletion_days_left?: number;
}

export interface DiskChangeView {
  disk: string;
  kind: 'volume' | 'image' | 'snapshot' | 'operation';
  outcome:
    'closed' | 'closed-unflushed' | 'kept-until-detach' | 'reopened' | 'reopen-failed' | 'lost';
  took_ms: number;
  detail?: string;
}

export interface KeyLossRequest {
  /** Kills the programs that have files of its mounted disks mapped. */
  kill_users?: boolean;
}

export interface KeyChangeView {
  key: KeyView;
  changed: boolean;
  disks: DiskChangeView[];
  took_ms: number;
  unrecorded?: string;
}

export interface ImpactView {
  key: KeyView;
  /** Whole lineage: every disk whose data needs this key. */
  disks: {
    name: string;
    kind: 'volume' | 'image' | 'snapshot';
    state: string;
    attached: boolean;
    mounted_at?: string;
  }[];
}

/** Whether the kernel keeps pages of the file (`kernel`), or every read reaches keyvol. */
export type FileCache = 'direct' | 'kernel';

export type ImageFormat = 'raw' | 'qcow2' | 'vmdk' | 'vhd' | 'vhdx' | 'vdi';

export type OnKeyLoss = 'deny' | 'until-detach' | 'suspend';

/** How programs reach an attached disk: as a FUSE file, or as an NBD export. */
export type Transport = 'fuse' | 'nbd';

export interface AttachOptions {
  cache?: FileCache;
  transport?: Transport;
}

export interface AttachmentView {
  transport: Transport;
  /** Of its file; with `fuse`. */
  path?: string;
  /** With `nbd`. */
  uri?: string;
  read_only: boolean;
  cache: FileCache;
  gate: 'open' | 'held' | 'closed';
  poisoned: boolean;
  mounted_at?: string;
  filesystem?: string;
}

export interface HealthView {
  /** `locked`: it waits for its key. `paused`: for space. `failed`: someone must do something. */
  state: 'ok' | 'locked' | 'paused' | 'failed';
  reason?: string;
  cure?: string;
}

/** A disk whose health is not "ok". */
export interface UnwellView extends HealthView {
  name: string;
  kind: 'volume' | 'image' | 'snapshot';
}

export interface DiskView {
  id: string;
  name: string;
  kind: 'volume' | 'image' | 'snapshot';
  state: string;
  /** Why, when the state is "error". */
  state_reason?: string;
  size: number;
  /** Host bytes of layers only this disk needs, and of layers it shares. */
  used: number;
  shared: number;
  layers: number;
  key_id: string;
  key_name: string;
  key_state: string;
  created_at: string;
  /** "image:debian", "snapshot:db@monday", "volume:db", "file:disk.raw"; absent for an empty one. */
  source?: string;
  /** SHA-256 of the content it was imported with, in hexadecimal. */
  source_sha256?: string;
  on_key_loss?: OnKeyLoss;
  /** Of a snapshot. */
  volume?: string;
  attachment?: AttachmentView;
  health: HealthView;
}

export interface DeleteView {
  name: string;
  /** Layers kept because other disks need them. */
  kept_layers: number;
  needed_by: string[];
}

export interface AuditView {
  sequence: number;
  time: string;
  principal: string;
  action: string;
  resource: string;
  result: 'allowed' | 'refused';
  detail: string;
}

export interface StatusView {
  version: string;
  pid: number;
  state_dir: string;
  runtime_dir: string;
  started_at: string;
  fuse_driver: 'native' | 'portable' | 'none';
  /** Where its NBD server is. */
  nbd: string[];
  /** What does AES-256-XTS in this process. */
  xts_kernel: 'vaes512' | 'vaes256' | 'aesni' | 'openssl';
  secret_memory: 'memfd_secret' | 'locked';
  keys: number;
  volumes: number;
  images: number;
  snapshots: number;
  attached: number;
  mounted: number;
  /** Disks that are not well; empty when all are. */
  unwell: UnwellView[];
  /** What restart had to clean and restore, and what it could not. */
  recovery: string[];
}

export interface VolumeResize {
  size: number;
  /** Of a mounted volume. */
  grow_filesystem?: boolean;
  /** Without it a smaller size is refused. What the volume holds beyond its new end is lost. */
  shrink?: boolean;
  /** The volume's name, needed to shrink it (CONFIRMATION_REQUIRED). */
  confirm?: string;
}

export type ExportFormat = 'raw' | 'luks2';
export type Pbkdf = 'pbkdf2' | 'argon2id';

/** A file that holds the content of a disk. */
export interface DiskExport {
  /** Absolute path of a new file. */
  file: string;
  /** "raw" if left out. */
  format?: ExportFormat;
  /** Only for "raw", which is refused without it: CONFIRMATION_REQUIRED. */
  plaintext?: boolean;
  /**
   * Only for "luks2", and needed there: absolute path of a Unix socket at which the client listens,
   * and gives whom it accepts the passphrase, 1 to 255 bytes, and nothing else, and ends.
   */
  passphrase_socket?: string;
  /** Only for "luks2": "pbkdf2" if left out, the only one that GRUB knows. */
  pbkdf?: Pbkdf;
}

export interface ExportView {
  file: string;
  /** Of the disk; a LUKS2 file is 1 MiB longer. */
  size: number;
  /** Bytes of it that are no holes. */
  data: number;
}

export interface Progress {
  done: number;
  total: number;
}

export interface VolumeCreate {
  name: string;
  size?: number;
  key?: string;
  image?: string;
  snapshot?: string;
  /** Absolute path; its format is what its name ends in (raw), unless `format` says more. */
  file?: string;
  format?: ImageFormat;
  preallocate?: boolean;
  on_key_loss?: OnKeyLoss;
}

export interface ImageCreate {
  name: string;
  volume?: string;
  snapshot?: string;
  file?: string;
  format?: ImageFormat;
  key?: string;
}

export interface ImageCopy {
  name: string;
  /** Not the image's own key: SAME_KEY. */
  key: string;
}

/** A long call's answer: the thing made, and remarks for the user ("padded by 512 bytes"). */
export interface Created<View> {
  created: View;
  remarks: string[];
}

/** Error body of every route under /keyvol/v1. */
export interface ErrorView {
  error: { code: string; message: string; hint?: string; cloud_code?: string };
}

/**
 * The client the CLI calls. Every method throws the Fault of an error reply, and
 * DAEMON_UNREACHABLE when no daemon answers; long ones throw INTERRUPTED when `signal` aborts.
 * `V@SNAP` names a snapshot.
 */
export interface DaemonClient {
  status(): Promise<StatusView>;
  /** With `keep_mounts` disks and mounts stay for the daemon that starts next. */
  shutdown(options?: { keep_mounts?: boolean }): Promise<void>;

  createKey(key: {
    name: string;
    description?: string;
    origin?: 'kms' | 'external';
  }): Promise<KeyView>;
  listKeys(): Promise<KeyView[]>;
  showKey(key: string): Promise<KeyView>;
  enableKey(key: string): Promise<KeyChangeView>;
  disableKey(key: string, loss?: KeyLossRequest): Promise<KeyChangeView>;
  /** `confirm`: the key's name, needed when disks use the key (CONFIRMATION_REQUIRED). */
  scheduleKeyDeletion(
    key: string,
    days: number,
    confirm?: string,
    loss?: KeyLossRequest,
  ): Promise<KeyChangeView>;
  cancelKeyDeletion(key: string): Promise<KeyChangeView>;
  renameKey(key: string, name: string): Promise<KeyView>;
  describeKey(key: string, description: string): Promise<KeyView>;
  keyImpact(key: string): Promise<ImpactView>;

  createVolume(
    volume: VolumeCreate,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<Created<DiskView>>;
  cloneVolume(volume: string, name: string): Promise<DiskView>;
  listVolumes(): Promise<DiskView[]>;
  showVolume(volume: string): Promise<DiskView>;
  renameVolume(volume: string, name: string): Promise<DiskView>;
  setVolume(volume: string, settings: { on_key_loss: OnKeyLoss }): Promise<DiskView>;
  attachVolume(volume: string, options: AttachOptions & { read_only?: boolean }): Promise<DiskView>;
  detachVolume(volume: string, options: { force?: boolean }): Promise<DiskView>;
  mountVolume(
    volume: string,
    options: { directory: string; mkfs?: string; read_only?: boolean },
  ): Promise<DiskView>;
  unmountVolume(volume: string): Promise<DiskView>;
  deleteVolume(volume: string): Promise<DeleteView>;
  resizeVolume(volume: string, resize: VolumeResize): Promise<DiskView>;
  /** `volume`: also V@SNAP. Privileged, audited. */
  exportVolume(
    volume: string,
    target: DiskExport,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<ExportView>;
  /** `volume`: also V@SNAP. */
  checkVolume(
    volume: string,
    request: CheckRequest,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<CheckView>;
  /** Writes the raw volume key to a new file. Privileged, audited. */
  exportVolumeKey(
    volume: string,
    options: { file: string },
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<{ file: string; container: string }>;

  createSnapshot(snapshot: string): Promise<DiskView>;
  listSnapshots(volume?: string): Promise<DiskView[]>;
  showSnapshot(snapshot: string): Promise<DiskView>;
  rollbackSnapshot(snapshot: string): Promise<DiskView>;
  deleteSnapshot(snapshot: string): Promise<DeleteView>;

  createImage(
    image: ImageCreate,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<Created<DiskView>>;
  listImages(): Promise<DiskView[]>;
  showImage(image: string): Promise<DiskView>;
  renameImage(image: string, name: string): Promise<DiskView>;
  attachImage(image: string, options?: AttachOptions): Promise<DiskView>;
  detachImage(image: string, options: { force?: boolean }): Promise<DiskView>;
  mountImage(image: string, options: { directory: string }): Promise<DiskView>;
  unmountImage(image: string): Promise<DiskView>;
  /** Another image of the same content under another master key. */
  copyImage(
    image: string,
    copy: ImageCopy,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<Created<DiskView>>;
  exportImage(
    image: string,
    target: DiskExport,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<ExportView>;
  checkImage(
    image: string,
    request: CheckRequest,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<CheckView>;
  deleteImage(image: string): Promise<DeleteView>;

  listAudit(options: { limit?: number; since_sequence?: number }): Promise<AuditView[]>;
}
