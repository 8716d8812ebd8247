/** Everything about disks behind one door, for the daemon's wiring and the routes. */
import type { Clock } from '../clock.js';
import type { Addon, FuseSession } from '../device/index.js';
import type { KeyListener, KeyService } from '../kms/key-service.js';
import type { Store } from '../store/store.js';
import type { ImpactedDisk, Volumes } from '../volume/volumes.js';
import type { Images, Snapshots } from './images.js';

export interface DisksOptions {
  /** Container files live in `<stateDir>/layers`; made if missing. */
  readonly stateDir: string;
  readonly runtimeDir: string;
  /** disks.db, opened with `diskMigrations`. */
  readonly store: Store;
  readonly keys: KeyService;
  readonly addon: Addon;
  /** Absent where there is no /dev/fuse: attach and mount are refused then. */
  readonly fuse?: FuseSession;
  readonly clock: Clock;
}

/** Counts of disks for `keyvol status`. */
export interface DiskCounts {
  readonly volumes: number;
  readonly images: number;
  readonly snapshots: number;
  readonly attached: number;
  readonly mounted: number;
}

export interface Disks {
  readonly volumes: Volumes;
  readonly snapshots: Snapshots;
  readonly images: Images;
  /** Already given to the KeyService. */
  readonly keyListener: KeyListener;
  /** The blast radius: every disk whose data needs this key. */
  impact(keyId: string): ImpactedDisk[];
  counts(): DiskCounts;
  /** Once after a start: collects garbage and restores what was attached; says what it did and could not. */
  restore(): Promise<string[]>;
  /** Unmounts, takes files away, closes devices; the records stay, so that a start restores them. */
  shutdown(): Promise<void>;
}
