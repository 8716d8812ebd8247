/** What can be measured of each attached disk, for metrics. */
import type { DeviceOperations, DeviceStats } from '../device/index.js';
import { fullName } from '../disk/lineage.js';
import type { DiskKind } from '../disk/records.js';
import type { DiskContext } from './context.js';
import { healthOf, type DiskHealth } from './health.js';

export interface DiskMeasures {
  /** "db", or "db@monday" for a snapshot. */
  readonly name: string;
  readonly kind: DiskKind;
  readonly health: DiskHealth['state'];
  /** Absent while the device could not be opened. */
  readonly stats?: DeviceStats;
  readonly operations?: DeviceOperations;
}

/** In the order of their records. */
export function measuresOf(context: DiskContext): DiskMeasures[] {
  return context.records.disks().flatMap((disk) => {
    const live = context.live.get(disk.id);
    if (live === undefined) return [];
    const { device } = live;
    return {
      name: fullName(context.records, disk),
      kind: disk.kind,
      health: healthOf(context, disk).state,
      ...(device === undefined ? {} : { stats: device.stats(), operations: device.operations() }),
    };
  });
}
