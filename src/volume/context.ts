/** What every use case on disks works with. */
import type { Clock } from '../clock.js';
import type { Addon, FuseSession, MountHost, NbdServer } from '../device/index.js';
import type { DiskRecords } from '../disk/disk-records.js';
import type { LayerFiles } from '../disk/layers.js';
import type { DiskRecord } from '../disk/records.js';
import type { KeyService } from '../kms/key-service.js';
import type { Store } from '../store/store.js';
import type { KeyWatch } from './key-watch.js';
import type { LiveDisk } from './live-disk.js';
import type { Locks } from './locks.js';

export interface DiskContext {
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly records: DiskRecords;
  readonly layers: LayerFiles;
  readonly keys: KeyService;
  /** The database with the audit table. */
  readonly audit: Store;
  readonly addon: Addon;
  readonly fuse: FuseSession | undefined;
  readonly nbd: NbdServer | undefined;
  /** Does what could wait on our own disks. */
  readonly host: MountHost;
  readonly clock: Clock;
  readonly watch: KeyWatch;
  readonly locks: Locks;
  /** Attached disks, by id. */
  readonly live: Map<string, LiveDisk>;
  /** Volumes that are becoming larger, by id. */
  readonly extending: Set<string>;
  /** What the user should know, though the work went on. */
  warn(text: string): void;
}

/** The lock under which layers may lose their last user. */
export const lineageLock = 'lineage';

export function nameLock(kind: DiskRecord['kind'], name: string, volumeId = ''): string {
  return `name:${kind}:${volumeId}:${name}`;
}

/**
 * Finds a volume or image, and runs `work` with its record while nothing else changes it. `more`
 * are further locks to hold.
 */
export async function withDisk<Result>(
  context: DiskContext,
  kind: 'volume' | 'image',
  nameOrId: string,
  work: (disk: DiskRecord) => Promise<Result>,
  more: readonly string[] = [],
): Promise<Result> {
  const { id } = context.records.find(kind, nameOrId);
  // Found again by its id, for it may have been renamed or deleted while we waited.
  return context.locks.run([id, ...more], () => work(context.records.find(kind, id)));
}
