/** What depends on what: which layers disks need, and what can go when one of them goes. */
import type { DiskRecords } from './disk-records.js';
import type { DiskRecord, LayerRecord } from './records.js';

/** Layers under a disk may be at most this many (DESIGN §6). */
export const maxStackDepth = 256;

/** For every layer, the disks whose data needs it. */
export type LayerUsers = ReadonlyMap<string, readonly DiskRecord[]>;

export function layerUsers(records: DiskRecords): LayerUsers {
  const parentOf = new Map(records.layers().map((layer) => [layer.id, layer.parentId]));
  const users = new Map<string, DiskRecord[]>();
  for (const disk of records.disks()) {
    let next: string | null = disk.topLayerId;
    while (next !== null) {
      const known = users.get(next);
      if (known === undefined) users.set(next, [disk]);
      else known.push(disk);
      next = parentOf.get(next) ?? null;
    }
  }
  return users;
}

export interface Leaving {
  /** Layers that nothing needs any more, children first. */
  readonly unneeded: readonly LayerRecord[];
  readonly kept: readonly LayerRecord[];
  /** Disks that keep them. */
  readonly neededBy: readonly DiskRecord[];
}

/** What happens to the stack under `topLayerId` when `leaving` does not need it any more. */
export function layersLeaving(
  records: DiskRecords,
  topLayerId: string,
  leaving: DiskRecord,
): Leaving {
  const users = layerUsers(records);
  const unneeded: LayerRecord[] = [];
  const kept: LayerRecord[] = [];
  const neededBy = new Map<string, DiskRecord>();
  for (const layer of records.stack(topLayerId)) {
    const others = (users.get(layer.id) ?? []).filter((disk) => disk.id !== leaving.id);
    (others.length === 0 ? unneeded : kept).push(layer);
    for (const disk of others) neededBy.set(disk.id, disk);
  }
  return { unneeded, kept, neededBy: [...neededBy.values()] };
}

/** "db", or "db@monday" for a snapshot. */
export function fullName(records: DiskRecords, disk: DiskRecord): string {
  if (disk.volumeId === null) return disk.name;
  return `${records.disk(disk.volumeId)?.name ?? disk.volumeId}@${disk.name}`;
}
