/** Containers and layer records that nothing needs, left by a crash. */
import type { DiskRecords } from './disk-records.js';
import type { LayerFiles } from './layers.js';
import { layerUsers } from './lineage.js';
import type { LayerRecord } from './records.js';
import { deleteLayer, deleteUnclaimed } from './statements.js';

/**
 * Removes layer records that no disk needs, then containers that were about to be made or removed;
 * returns what it did and could not do. Only for a start, before anything makes a container. A
 * container of which there is no record at all is left alone: disks.db may be an older copy.
 */
export async function collectGarbage(records: DiskRecords, files: LayerFiles): Promise<string[]> {
  try {
    await endOrphans(records);
    const said = await removeUnclaimed(records, files);
    return [...said, ...(await tellUnknown(records, files))];
  } catch (error) {
    // What cannot be tidied up now is tidied up by another start; the disks can be used all the same.
    return [`could not remove what a crash left: ${String(error)}`];
  }
}

async function endOrphans(records: DiskRecords): Promise<void> {
  const users = layerUsers(records);
  const orphans = records.layers().filter((layer) => !users.has(layer.id));
  if (orphans.length === 0) return;
  await records.commit(childrenFirst(orphans).map((layer) => deleteLayer(layer.id)));
}

async function removeUnclaimed(records: DiskRecords, files: LayerFiles): Promise<string[]> {
  const unclaimed = records.unclaimedContainers();
  if (unclaimed.length === 0) return [];
  const present = new Set(await files.containers());
  const said: string[] = [];
  const gone: string[] = [];
  for (const id of unclaimed) {
    try {
      await files.remove(id);
      gone.push(id);
      if (present.has(id)) said.push(`removed container ${id}.luks, which no disk needs`);
    } catch (error) {
      said.push(`could not remove container ${id}.luks, which no disk needs: ${String(error)}`);
    }
  }
  // Only what cannot come back after a power cut may be forgotten.
  await files.syncDirectory();
  await records.commit(gone.map(deleteUnclaimed));
  return said;
}

async function tellUnknown(records: DiskRecords, files: LayerFiles): Promise<string[]> {
  const known = new Set([
    ...records.layers().map((layer) => layer.id),
    ...records.unclaimedContainers(),
  ]);
  const unknown = (await files.containers()).filter((id) => !known.has(id));
  return unknown.map((id) => `left container ${id}.luks alone, of which there is no record`);
}

/** A layer's record cannot go before those of the layers above it. */
function childrenFirst(layers: readonly LayerRecord[]): LayerRecord[] {
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  const depth = (layer: LayerRecord): number => {
    let levels = 0;
    let parentId = layer.parentId;
    while (parentId !== null) {
      levels++;
      parentId = byId.get(parentId)?.parentId ?? null;
    }
    return levels;
  };
  return [...layers].sort((a, b) => depth(b) - depth(a));
}
