/** How well each disk is: what is wrong with it, why, and what cures it. */
import { fullName } from '../disk/lineage.js';
import type { DiskKind, DiskRecord } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { DiskContext } from './context.js';
import type { LiveDisk } from './live-disk.js';
import { fullCure, fullReason } from './space-watch.js';

/**
 * `locked`: its key keeps it closed, nothing is lost and it goes on by itself. `paused`: writes wait
 * for space, and go on by themselves. `failed`: someone must do something.
 */
export const healthStates = ['ok', 'locked', 'paused', 'failed'] as const;

export interface DiskHealth {
  readonly state: (typeof healthStates)[number];
  readonly reason?: string;
  readonly cure?: string;
}

export interface UnwellDisk extends DiskHealth {
  /** "db", or "db@monday" for a snapshot. */
  readonly name: string;
  readonly kind: DiskKind;
}

const well: DiskHealth = { state: 'ok' };

export function healthOf(context: DiskContext, disk: DiskRecord): DiskHealth {
  if (disk.state === 'error') {
    const cure = `keyvol ${disk.kind} delete ${fullName(context.records, disk)}`;
    return { state: 'failed', reason: disk.stateReason, cure };
  }
  const live = context.live.get(disk.id);
  return live?.phase === 'in-use' ? healthOfLive(context, live) : well;
}

/** In the order of their records. */
export function unwellDisks(context: DiskContext): UnwellDisk[] {
  const { records } = context;
  const all = records.atOneMoment(() =>
    records.disks().map((disk) => {
      const name = fullName(records, disk);
      return { name, kind: disk.kind, ...healthOf(context, disk) };
    }),
  );
  return all.filter((disk) => disk.state !== 'ok');
}

function healthOfLive(context: DiskContext, live: LiveDisk): DiskHealth {
  const stats = live.device?.stats();
  if (stats?.poisoned === true) {
    return {
      state: 'failed',
      reason: 'a flush failed: it takes no more writes, and its last ones may be lost',
      cure: reattach(live),
    };
  }
  if (!live.isOpen) return whyClosed(context, live);
  if (stats?.fullSinceMs !== undefined) {
    return { state: 'paused', reason: fullReason(context, stats.fullSinceMs), cure: fullCure };
  }
  if (live.mount !== undefined && !live.mount.isUp) {
    const reason = `it is not mounted at ${live.mount.directory}, where it should be`;
    return { state: 'failed', reason, cure: reattach(live) };
  }
  return well;
}

function whyClosed(context: DiskContext, live: LiveDisk): DiskHealth {
  try {
    context.keys.assertUsable(live.keyId);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { message, hint } = error;
    const cure = hint === undefined ? {} : { cure: hint };
    return { state: 'locked', reason: `${message}: ${whatUsersMeet(live)}`, ...cure };
  }
  return { state: 'failed', reason: 'it could not be opened again', cure: reattach(live) };
}

function whatUsersMeet({ device, onKeyLoss, lockedMount }: LiveDisk): string {
  if (device !== undefined && onKeyLoss === 'suspend') return 'reads and writes wait';
  if (lockedMount === undefined) return 'reads and writes fail';
  if (lockedMount.readOnly) return `reads at ${lockedMount.directory} fail`;
  return `its filesystem at ${lockedMount.directory} is frozen, reads fail, writes wait`;
}

function reattach({ kind, name, mount }: LiveDisk): string {
  if (mount === undefined) {
    return `keyvol ${kind} detach ${name}; keyvol ${kind} attach ${name}`;
  }
  return `keyvol ${kind} unmount ${name}; keyvol ${kind} mount ${name} ${mount.directory}`;
}
