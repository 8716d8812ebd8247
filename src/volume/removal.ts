/** Deleting a disk, and what goes with it. */
import { fullName, layersLeaving, type Leaving } from '../disk/lineage.js';
import type { DiskRecord } from '../disk/records.js';
import { deleteAttachment, deleteDisk, deleteLayer } from '../disk/statements.js';
import type { DiskContext } from './context.js';
import type { DeletedDisk } from './volumes.js';

/**
 * Removes the disk's name and every layer that nothing else needs. The caller holds the locks of
 * the disk and of the lineage, and has asked whether the disk may go.
 */
export async function removeDisk(context: DiskContext, disk: DiskRecord): Promise<DeletedDisk> {
  const name = fullName(context.records, disk);
  const leaving = layersLeaving(context.records, disk.topLayerId, disk);
  await context.records.commit([
    deleteAttachment(disk.id),
    deleteDisk(disk.id),
    ...leaving.unneeded.map((layer) => deleteLayer(layer.id)),
  ]);
  await removeFiles(context, leaving);
  return {
    name,
    keptLayers: leaving.kept.length,
    neededBy: leaving.neededBy.map((other) => `${other.kind} ${fullName(context.records, other)}`),
  };
}

/** The records are gone already. */
export async function removeFiles(context: DiskContext, leaving: Leaving): Promise<void> {
  for (const layer of leaving.unneeded) {
    await context.layers.discard(layer.id);
  }
}
