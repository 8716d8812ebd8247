/** The typed face of the native addon. Sizes and offsets are bytes, as safe integers. */
import type { ContentReader } from './content-reader.js';
import type { FuseOptions, FuseSession, NbdOptions, NbdServer } from './transport.js';

/** A secret in native key memory. Never a string, never a Buffer. The creator releases it. */
export interface Secret {
  readonly lengthBytes: number;
  readonly released: boolean;
  /** Drops this handle's reference; the memory is wiped with the last one. Safe to repeat. */
  release(): void;
}

export type WrapContext = Readonly<Record<string, string>>;
export type WrapPurpose = 'data-key' | 'master-key';

/** The fastest first; "openssl" works everywhere. */
export type XtsKernel = 'vaes512' | 'vaes256' | 'aesni' | 'openssl';

export interface XtsKernels {
  readonly chosen: XtsKernel;
  readonly usable: readonly XtsKernel[];
  /** Those that this processor should be able to run, but that did not agree with OpenSSL. */
  readonly failed: readonly XtsKernel[];
}

export interface XtsRun {
  readonly firstSector: bigint;
  readonly encrypts: boolean;
  /** The chosen one without. */
  readonly kernel?: XtsKernel;
  /** 512 or, without, 4096. */
  readonly sectorBytes?: number;
}

export interface WrapLabel {
  /** 16 bytes as a lower-case UUID. */
  readonly keyId: string;
  readonly keyVersion: number;
  readonly purpose: WrapPurpose;
}

export interface ContainerOptions {
  readonly path: string;
  readonly layerId: string;
  readonly sizeBytes: number;
  /** The whole LUKS2 token as JSON text. */
  readonly token: string;
  readonly preallocate: boolean;
}

/** What makes a key of a passphrase. GRUB knows only PBKDF2. */
export type Pbkdf = 'pbkdf2' | 'argon2id';

export interface FlatLuks2Options {
  readonly path: string;
  /** Of the disk in it; the file is `dataOffsetBytes` longer. */
  readonly sizeBytes: number;
  readonly pbkdf: Pbkdf;
}

export interface ContainerHeader {
  readonly layerId: string;
  readonly cipher: string;
  readonly dataOffsetBytes: number;
  readonly sectorBytes: number;
  readonly token: string;
  readonly fileBytes: number;
  readonly damagedCopies: 0 | 1;
}

/** `outdated`: older than the other one, as a crash between two writes leaves it. */
export type CopyState = 'good' | 'damaged' | 'outdated';

/** What opening does not care about, but a check tells. */
export interface HeaderCheck {
  readonly header: ContainerHeader;
  readonly first: CopyState;
  readonly second: CopyState;
  /** Both are good, but say different things. */
  readonly copiesDiffer: boolean;
  /** Of the first byte that is not zero between the copies and the data. */
  readonly strayOffsetBytes?: number;
}

export interface DeviceLayer {
  readonly path: string;
  readonly sizeBytes: number;
  /** Borrowed for the call: the device takes its own reference. */
  readonly dataKey: Secret;
  readonly preallocated: boolean;
}

export interface DeviceOptions {
  /** Top first, bottom last; the first one is written when `writable`. */
  readonly layers: readonly DeviceLayer[];
  readonly writable: boolean;
}

/** As if it had been cut off: its keys come with `restore`. */
export interface ClosedDeviceOptions {
  readonly layers: readonly Omit<DeviceLayer, 'dataKey'>[];
  readonly writable: boolean;
  readonly closed: Closing;
}

/**
 * What becomes of requests while the gate is closed. `refuse`: all get GATE_CLOSED (EIO).
 * `hold-writes`: reads get it, flushes succeed once the cut-off has flushed everything, writes and
 * discards wait. `suspend`: all wait. What waits is decided about anew whenever that changes.
 */
export type Closing = 'refuse' | 'hold-writes' | 'suspend';

export interface CutOffReport {
  /** False: the flush failed or did not end in time; the device is poisoned then, unless `running`. */
  readonly flushed: boolean;
  /** The flush goes on after the deadline, and can still succeed; never when `refuse`. */
  readonly running: boolean;
  readonly tookMs: number;
}

export interface DeviceStats {
  readonly gate: 'open' | 'held' | 'closed';
  readonly poisoned: boolean;
  readonly layers: number;
  /** Host bytes of the top layer. */
  readonly allocatedBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Since when writes through FUSE have been waiting for space, in Unix time; absent when none is. */
  readonly fullSinceMs?: number;
}

/** Requests of one kind since the device was opened; what waited counts when it ended. */
export interface OperationCounts {
  /** Of those in the buckets: refused by the gate, failed, out of range. */
  readonly errors: number;
  /** What all of them took together. */
  readonly seconds: number;
  /** How many took more than the bucket before and up to this; the last one's bound is Infinity. */
  readonly buckets: readonly { readonly upToSeconds: number; readonly count: number }[];
}

export interface DeviceOperations {
  readonly read: OperationCounts;
  readonly write: OperationCounts;
  readonly flush: OperationCounts;
  /** And write-zeroes. */
  readonly discard: OperationCounts;
}

/** An open stack of layers behind its gate. */
export interface Device {
  readonly sizeBytes: number;
  readonly writable: boolean;
  /** Fills `buffer`; throws OUT_OF_RANGE, GATE_CLOSED, IO_ERROR. */
  read(buffer: Buffer, offsetBytes: number): Promise<void>;
  /** Leaves `buffer` as it is. The caller must not change it until the promise settles. */
  write(buffer: Buffer, offsetBytes: number): Promise<void>;
  flush(): Promise<void>;
  discard(offsetBytes: number, lengthBytes: number): Promise<void>;
  writeZeroes(offsetBytes: number, lengthBytes: number): Promise<void>;
  /** lseek(2) SEEK_DATA / SEEK_HOLE through all layers; undefined past the last data. */
  seekData(offsetBytes: number): Promise<number | undefined>;
  seekHole(offsetBytes: number): Promise<number | undefined>;
  /**
   * New requests wait, running ones end, the top layer is durable. Throws and resumes if not;
   * NO_SPACE while writes wait for space.
   */
  hold(): Promise<void>;
  /** While held: opens the empty layer that `swapTop` puts on top. */
  stageTop(layer: DeviceLayer): Promise<void>;
  /**
   * The old top becomes read-only below the staged layer, which takes the writes; the device's size
   * becomes the new layer's. Needs no I/O; throws BUSY when none is staged.
   */
  swapTop(): void;
  resume(): void;
  /**
   * Closes the gate as `closing` says (`refuse`): running requests end, what was acknowledged is
   * flushed, all keys are wiped. Answers within `deadlineMs` whatever the flush has reached. Wins
   * over hold. On a closed gate: changes how it is closed, and answers with the last report.
   */
  cutOff(deadlineMs: number, closing?: Closing): Promise<CutOffReport>;
  /** Opens the gate again with the layers' keys, top first. Poisoned stays poisoned. */
  restore(dataKeys: readonly Secret[]): Promise<void>;
  /**
   * Drains, flushes, wipes, closes. Throws if the flush failed, closed all the same. A second call
   * waits for the first and answers the same.
   */
  close(): Promise<void>;
  stats(): DeviceStats;
  operations(): DeviceOperations;
}

export interface LoopOptions {
  readonly path: string;
  readonly readOnly: boolean;
  readonly sectorBytes: 512 | 4096;
}

export interface MountOptions {
  readonly source: string;
  readonly directory: string;
  readonly filesystem: string;
  readonly readOnly: boolean;
  /** Comma-separated filesystem options, for example "nouuid". */
  readonly options: string;
}

/**
 * What is done to loop devices and to filesystems on directories. Each call can wait on our own
 * disks for as long as they do not answer.
 */
export interface MountHost {
  /** A loop device with direct I/O on `path`: its name, "/dev/loop3". */
  attachLoop(options: LoopOptions): Promise<string>;
  detachLoop(device: string): Promise<void>;
  /** Its size becomes that of the file at `path`, which it is on. */
  growLoop(device: string, path: string): Promise<void>;
  mountFilesystem(options: MountOptions): Promise<void>;
  /** Throws BUSY while files are open, unless `lazy`; INVALID_ARGUMENT when nothing is mounted. */
  unmountFilesystem(directory: string, lazy: boolean): Promise<void>;
  syncFilesystem(directory: string): Promise<void>;
  /**
   * FIFREEZE on what `source` has mounted on `directory`. Throws FILE_NOT_FOUND when it has not,
   * BUSY when it is frozen already.
   */
  freezeFilesystem(directory: string, source: string): Promise<void>;
  /**
   * FITHAW on it; through a holder that froze it even when it is no longer mounted there. Throws
   * FILE_NOT_FOUND, and INVALID_ARGUMENT when it is not frozen.
   */
  thawFilesystem(directory: string, source: string): Promise<void>;
  /**
   * Only where a frozen filesystem can be thawed after it was unmounted: tells of one that a former
   * daemon has frozen.
   */
  keepFrozen?(directory: string, source: string): void;
  /** Throws READ_ONLY or IO_ERROR when no file can be made there. Waits while it is frozen. */
  checkFilesystem(directory: string): Promise<void>;
  /** Drops every clean page, directory entry and inode of the host. */
  dropCaches(): Promise<void>;
}

export type BlockOperation = 'read' | 'write' | 'sync' | 'punch-hole' | 'zero-range';

export interface BlockFault {
  readonly afterCalls?: number;
  /** 0 with `delayMs`: only delays. */
  readonly errno?: number;
  readonly sticky?: boolean;
  readonly delayMs?: number;
  readonly pathContains?: string;
}

export interface Addon extends MountHost, ContentReader {
  setFaultClass(faultClass: new (code: never, message: string) => Error): void;

  // secret, wrap
  secretMemoryIsHidden(): boolean;
  randomSecret(lengthBytes: number): Secret;
  generateDataKey(): Secret;
  /**
   * All that the Unix socket at `path` gives until its end, 1 to 255 bytes. Throws INVALID_ARGUMENT
   * when there are none or more, or they do not come within 5 s; FILE_NOT_FOUND.
   */
  receiveSecret(path: string): Promise<Secret>;
  wrapKey(wrappingKey: Secret, key: Secret, label: WrapLabel, context: WrapContext): Buffer;
  /** Throws INTEGRITY_FAILED, always the same, when anything does not match. */
  unwrapKey(
    wrappingKey: Secret,
    wrapped: Buffer,
    purpose: WrapPurpose,
    context: WrapContext,
  ): Secret;
  readWrapLabel(wrapped: Buffer): WrapLabel;
  createKeyFile(path: string): Secret;
  loadKeyFile(path: string): Secret;
  exportKeyFile(key: Secret, path: string): void;
  /** For test vectors: one XTS data unit, in a new buffer. */
  xtsDataUnit(key: Buffer, tweak: Buffer, encrypt: boolean, data: Buffer): Buffer;
  /**
   * What does the ciphering in this process, chosen once. INVALID_ARGUMENT or UNSUPPORTED when
   * KEYVOL_XTS asks for what there is not.
   */
  xtsKernels(): XtsKernels;
  /** For tests against OpenSSL: a run of sectors, where it lies. */
  xtsSectors(key: Secret, run: XtsRun, data: Buffer): void;
  /** For test vectors only: a secret with known bytes. */
  secretFromTestKey(bytes: Buffer): Secret;

  // container
  createContainer(options: ContainerOptions, dataKey: Secret): Promise<void>;
  /**
   * A file that stock tools open with the passphrase, its sectors still to be written. On failure
   * nothing is left. Throws INVALID_ARGUMENT for a passphrase that cannot be typed.
   */
  createFlatLuks2(options: FlatLuks2Options, dataKey: Secret, passphrase: Secret): Promise<void>;
  readContainerHeader(path: string): Promise<ContainerHeader>;
  verifyContainerKey(path: string, dataKey: Secret): Promise<void>;
  /** As readContainerHeader. */
  checkContainerHeader(path: string): Promise<HeaderCheck>;
  /**
   * Writes anew, durably, the one header copy that is not good, from the good one, which is not
   * touched. Throws HEADER_INVALID when none is, BUSY when it changes meanwhile.
   */
  repairContainerHeader(path: string): Promise<void>;
  injectBlockFault(operation: BlockOperation, fault: BlockFault): void;
  clearBlockFaults(): void;

  // disk
  openDevice(options: DeviceOptions | ClosedDeviceOptions): Promise<Device>;

  // transport
  mountFuse(options: FuseOptions): Promise<FuseSession>;
  /** Throws FILE_NOT_FOUND, KEY_FILE_INVALID, BUSY for a port that is taken, INVALID_ARGUMENT. */
  serveNbd(options: NbdOptions): NbdServer;
  /**
   * Asks the holder at `socketPath` for something (native/transport/fuse/holder_messages.h), and
   * answers with its result. Throws what the holder met, FILE_NOT_FOUND when nobody listens there.
   */
  askHolder(socketPath: string, words: readonly string[]): Promise<string>;

  // host
  /** PR_SET_DUMPABLE 0, RLIMIT_CORE 0, umask 077. Call first in a process that meets keys. */
  hardenProcess(): void;
  /**
   * PR_SET_IO_FLUSHER and an oom_score_adj of -1000: the kernel writes memory out through this
   * process, which must neither wait for that nor be killed for it; that much as root only. Large
   * pieces of memory go back to the system as soon as they are freed.
   */
  keepAliveUnderPressure(): void;
  /**
   * Takes an exclusive lock on a file, made if missing, until the process ends; answers with its
   * descriptor, which stays open. Throws BUSY when another process holds it.
   */
  lockFile(path: string): number;
  /** Becomes another program under the same process id; returns only by throwing. */
  replaceProcess(program: string, args: readonly string[], environment: readonly string[]): never;
  /**
   * sd_notify(3): "READY=1". False where there is no service manager (no NOTIFY_SOCKET). Throws
   * INVALID_ARGUMENT, IO_ERROR when it cannot be told.
   */
  notifyServiceManager(message: string): boolean;
  /** Ends, for ever, every request that waits on a FUSE mount whose server is dead or dying. */
  abortFuseMount(directory: string): Promise<void>;
  /** CLOCK_BOOTTIME in milliseconds. */
  bootTimeMs(): number;
}
