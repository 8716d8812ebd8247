/** Containers and layer records that nothing needs, left by a crash. */
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskRecords } from './disk-records.js';
import type { LayerFiles } from './layers.js';
import { layerUsers } from './lineage.js';
import type { LayerRecord } from './records.js';
import { deleteLayer } from './statements.js';

const containerName = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.luks$/;

/**
 * Removes layer records that no disk needs, then containers that no record names; returns what it
 * did. Only for a start, before anything makes a container. Files of other shapes are left alone.
 */
export async function collectGarbage(records: DiskRecords, files: LayerFiles): Promise<string[]> {
  const users = layerUsers(records);
  const orphans = records.layers().filter((layer) => !users.has(layer.id));
  if (orphans.length > 0) {
    await records.commit(childrenFirst(orphans).map((layer) => deleteLayer(layer.id)));
  }
  const named = new Set(records.layers().map((layer) => layer.id));
  const said: string[] = [];
  for (const name of await readdir(files.directory)) {
    const id = containerName.exec(name)?.[1];
    if (id === undefined || named.has(id)) continue;
    await unlink(join(files.directory, name));
    said.push(`removed container ${name}, which no disk needs`);
  }
  return said;
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
