/** Containers and layer records that do not belong together, whatever disk was asked about. */
import type { DiskRecords } from './disk-records.js';
import type { LayerFiles } from './layers.js';
import { layerUsers } from './lineage.js';

/**
 * Says of each container without a record, record without a container, and layer that no disk needs.
 * Those that a verb is making or removing meanwhile are not told, for they are looked at twice.
 */
export async function leftovers(records: DiskRecords, files: LayerFiles): Promise<string[]> {
  const first = await look(records, files);
  if (first.length === 0) return [];
  const second = new Set(await look(records, files));
  return first.filter((text) => second.has(text));
}

async function look(records: DiskRecords, files: LayerFiles): Promise<string[]> {
  const present = new Set(await files.containers());
  const { layers, users, unclaimed } = records.atOneMoment(() => ({
    layers: records.layers(),
    users: layerUsers(records),
    unclaimed: records.unclaimedContainers(),
  }));
  const known = new Set([...layers.map(({ id }) => id), ...unclaimed]);
  const unknown = [...present].filter((id) => !known.has(id));
  return [
    ...unknown.map((id) => `${files.path(id)} has no record: it belongs to no disk that is known`),
    ...layers
      .filter(({ id }) => !present.has(id))
      .map(({ id }) => `${files.path(id)}, of which there is a record, is missing`),
    ...layers
      .filter(({ id }) => !users.has(id))
      .map(({ id }) => `no disk needs layer ${id}: the next start of the daemon removes it`),
  ];
}
