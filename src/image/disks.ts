/** Everything about disks behind one door, for the daemon's wiring and the routes. */
import type { Clock } from '../clock.js';
import type { Addon, FuseSession, MountHost, NbdServer } from '../device/index.js';
import type { KeyService } from '../kms/key-service.js';
import type { Store } from '../store/store.js';
import { DiskRecords } from '../disk/disk-records.js';
import { collectGarbage } from '../disk/garbage.js';
import { LayerFiles } from '../disk/layers.js';
import type { DiskContext } from '../volume/context.js';
import { impactOf } from '../volume/details.js';
import { unwellDisks, type UnwellDisk } from '../volume/health.js';
import { KeyWatch } from '../volume/key-watch.js';
import { Locks } from '../volume/locks.js';
import { measuresOf, type DiskMeasures } from '../volume/measures.js';
import { markLost, restoreAttachments, shutDown } from '../volume/restart.js';
import { watchSpace } from '../volume/space-watch.js';
import { VolumeService } from '../volume/volume-service.js';
import type { ImpactedDisk, Volumes } from '../volume/volumes.js';
import { ImageService } from './image-service.js';
import { SnapshotService } from './snapshot-service.js';
import type { Images, Snapshots } from './images.js';

export interface DisksOptions {
  /** Container files live in `<stateDir>/layers`; made if missing. */
  readonly stateDir: string;
  readonly runtimeDir: string;
  /** disks.db, opened with `diskMigrations`. */
  readonly store: Store;
  readonly keys: KeyService;
  /** The database that holds the audit table. */
  readonly audit: Store;
  readonly addon: Addon;
  /** Absent where there is no /dev/fuse: attach and mount are refused then. */
  readonly fuse?: FuseSession;
  /** Absent where disks are not served over NBD. */
  readonly nbd?: NbdServer;
  readonly host: MountHost;
  readonly clock: Clock;
  /** Hears of what the user should know though the work went on; for the log. */
  readonly warn: (text: string) => void;
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
  /** The blast radius: every disk whose data needs this key. */
  impact(keyId: string): ImpactedDisk[];
  counts(): DiskCounts;
  /** Of every attached disk. */
  measures(): DiskMeasures[];
  /** The disks that are not well, and why. */
  unwell(): UnwellDisk[];
  /** Once after a start: restores what was attached and collects garbage; says what it did and could not. */
  restore(): Promise<string[]>;
  /** Unmounts, takes files away, closes devices; says what went wrong. The records stay, so that a start restores them. */
  shutdown(): Promise<string[]>;
}

/** Becomes the listener of `keys`, so that key states gate the disks from now on. */
export function openDisks(options: DisksOptions): Disks {
  const context = contextOf(options);
  options.keys.setListener(context.watch);
  const stopWatching = watchSpace(context);
  return {
    volumes: new VolumeService(context),
    snapshots: new SnapshotService(context),
    images: new ImageService(context),
    impact: (keyId) => impactOf(context, keyId),
    counts: () => countsOf(context),
    measures: () => measuresOf(context),
    unwell: () => unwellDisks(context),
    restore: async () => [
      // First, for programs may be waiting for their disks.
      ...(await restoreAttachments(context)),
      ...(await collectGarbage(context.records, context.layers)),
      ...(await markLost(context)),
    ],
    shutdown: () => {
      stopWatching();
      return shutDown(context);
    },
  };
}

function contextOf(options: DisksOptions): DiskContext {
  const { stateDir, runtimeDir, store, keys, audit, addon, fuse, nbd, host, clock, warn } = options;
  const records = new DiskRecords(store);
  return {
    stateDir,
    runtimeDir,
    records,
    layers: new LayerFiles({ stateDir, addon, clock, records, warn }),
    keys,
    audit,
    addon,
    fuse,
    nbd,
    host,
    clock,
    watch: new KeyWatch({ records, clock, host }),
    locks: new Locks(),
    live: new Map(),
    extending: new Set(),
    warn,
  };
}

function countsOf(context: DiskContext): DiskCounts {
  const kinds = context.records.disks().map((disk) => disk.kind);
  const live = [...context.live.values()];
  return {
    volumes: kinds.filter((kind) => kind === 'volume').length,
    images: kinds.filter((kind) => kind === 'image').length,
    snapshots: kinds.filter((kind) => kind === 'snapshot').length,
    attached: live.length,
    mounted: live.filter((disk) => disk.mount?.isUp === true).length,
  };
}
