/** How the native addon shows disks to programs: as files of a FUSE mount, and over NBD. */
import type { Device } from './addon.js';

export interface FuseOptions {
  readonly mountPoint: string;
  readonly threads: number;
  readonly allowOther: boolean;
  /**
   * The socket of a holder (native/transport/fuse/holder), which keeps the mount when this process
   * ends; without it the mount ends, too. Throws FILE_NOT_FOUND when nobody listens there, BUSY
   * when another process has claimed the mount.
   */
  readonly holder?: string;
}

export interface FuseFile {
  readonly id: string;
  readonly directory: 'volumes' | 'images';
  readonly name: string;
  readonly device: Device;
  readonly readOnly: boolean;
  /**
   * `kernel`: pages of it stay in the kernel's page cache, which no gate reaches. The caller drops
   * them (dropMappedPages) when the gate closes and before the file goes.
   */
  readonly cache: 'direct' | 'kernel';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, for example 0o600. */
  readonly mode: number;
}

/** The FUSE mount with one regular file a disk. */
export interface FuseSession {
  readonly mountPoint: string;
  /** Whether it was mounted before, and its files may be open in programs. */
  readonly kept: boolean;
  /** Whether a holder keeps the mount; false when it has none, or it has died. */
  readonly isHeld: boolean;
  /**
   * Before serving a mount that a former process has left: of the files that are open in programs,
   * only those with these ids may be added again; handles on all others answer EIO for ever. Answers
   * the numbers of all of them, for dropInheritedPages.
   */
  keep(ids: readonly string[]): readonly number[];
  /** Begins to answer; until then every request waits. Once. */
  serve(): void;
  /** Waits for what a former daemon had its holder do to the host, and has not seen the end of. */
  settle(): Promise<void>;
  /** The loop devices whose filesystems a former daemon has frozen and not thawed. */
  frozen(): Promise<readonly string[]>;
  /** Gives the mount to a new holder at the same socket, for the one it had has died. */
  entrust(): Promise<void>;
  /** Stops answering without ending the mount, for a process that is about to exit. */
  park(): Promise<void>;
  /** Throws FILE_EXISTS when the name is taken in that directory. */
  add(file: FuseFile): void;
  rename(id: string, name: string): void;
  /** Takes the file away: handles still open get EIO from then on. The device stays open. */
  remove(id: string): void;
  /** How many handles are open and not revoked; `own` by this process (loop devices). */
  openHandles(id: string): { readonly own: number; readonly others: number };
  /**
   * While exclusive, nobody but this process opens the file for writing: others get EBUSY, and
   * may still read. Throws BUSY, and changes nothing, when another process has it open for
   * writing; FILE_NOT_FOUND. Ending it on a file that was removed does nothing.
   */
  setExclusive(id: string, exclusive: boolean): void;
  /** Handles opened so far answer EIO for ever; with 'own' only this process's. */
  revokeHandles(id: string, which: 'own' | 'all'): void;
  /**
   * Drops the pages that programs have mapped: while the gate is closed they get SIGBUS instead
   * of plaintext. Dirty ones are written first, so call it before the gate closes, and after.
   */
  dropMappedPages(id: string): Promise<void>;
  /** The same for a file that a former process has left, exported again or not. */
  dropInheritedPages(file: number): Promise<void>;
  /** Unmounts (lazily if busy) and ends the threads. */
  unmount(): Promise<void>;
}

export interface NbdExport {
  readonly id: string;
  /** As clients ask for it. */
  readonly name: string;
  readonly device: Device;
  readonly readOnly: boolean;
}

/** Where NBD is served: at `socketPath`, in place of what a dead process left there, and over TLS. */
export interface NbdOptions {
  readonly socketPath: string;
  readonly tls?: {
    /** Numeric. */
    readonly address: string;
    /** 0 is any that is free. */
    readonly port: number;
    /** With the files that native/transport/tls/credentials.h names. */
    readonly directory: string;
  };
}

/** An NBD server on a Unix socket of mode 0600, with one export a disk. */
export interface NbdServer {
  readonly socketPath: string;
  /** 0 without TLS. */
  readonly tlsPort: number;
  /** Begins to answer; until then who connects waits. Once. */
  serve(): void;
  /** Throws FILE_EXISTS when the name is taken. */
  add(exported: NbdExport): void;
  /** For clients to come. Throws FILE_NOT_FOUND, FILE_EXISTS. */
  rename(id: string, name: string): void;
  /** Ends its connections, too. The device stays open. */
  remove(id: string): void;
  /** How many clients are connected to it. */
  connections(id: string): number;
  /** Ends its connections so far. */
  disconnect(id: string): void;
  /** Ends all connections and the server. Throws BUSY when requests are still under way. */
  end(): Promise<void>;
}
