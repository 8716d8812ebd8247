/** Everything a view of a disk needs, gathered from records, files and what is attached. */
import { fullName, layerUsers, type LayerUsers } from '../disk/lineage.js';
import type { DiskRecord } from '../disk/records.js';
import type { DiskContext } from './context.js';
import { healthOf } from './health.js';
import type { AttachmentDetails, DiskDetails, ImpactedDisk } from './volumes.js';

export async function detailsOf(context: DiskContext, disk: DiskRecord): Promise<DiskDetails> {
  return gather(context, disk, layerUsers(context.records));
}

export async function detailsOfAll(
  context: DiskContext,
  disks: readonly DiskRecord[],
): Promise<DiskDetails[]> {
  const users = layerUsers(context.records);
  return Promise.all(disks.map((disk) => gather(context, disk, users)));
}

/** Every disk whose data needs the key: a key is inherited, so the lineage has it in its records. */
export function impactOf(context: DiskContext, keyId: string): ImpactedDisk[] {
  return context.records.disksOfKey(keyId).map((disk) => {
    const live = context.live.get(disk.id);
    return {
      name: fullName(context.records, disk),
      kind: disk.kind,
      state: disk.state,
      attached: live !== undefined,
      ...(live?.mount === undefined ? {} : { mountedAt: live.mount.directory }),
    };
  });
}

async function gather(
  context: DiskContext,
  disk: DiskRecord,
  users: LayerUsers,
): Promise<DiskDetails> {
  const stack = context.records.stack(disk.topLayerId);
  const sizes = await Promise.all(stack.map((layer) => context.layers.allocatedBytes(layer.id)));
  let usedBytes = 0;
  let sharedBytes = 0;
  stack.forEach((layer, index) => {
    const alone = (users.get(layer.id)?.length ?? 0) <= 1;
    if (alone) usedBytes += sizes[index] ?? 0;
    else sharedBytes += sizes[index] ?? 0;
  });
  const attachment = attachmentOf(context, disk);
  const volume = disk.volumeId === null ? undefined : context.records.disk(disk.volumeId);
  return {
    record: { ...disk, state: visibleState(context, disk) },
    usedBytes,
    sharedBytes,
    layerCount: stack.length,
    health: healthOf(context, disk),
    ...(volume === undefined ? {} : { volumeName: volume.name }),
    ...(attachment === undefined ? {} : { attachment }),
  };
}

/** Passing states are not recorded: after a crash nothing is on its way. */
function visibleState(context: DiskContext, disk: DiskRecord): DiskRecord['state'] {
  const live = context.live.get(disk.id);
  if (live === undefined || disk.kind !== 'volume' || disk.state === 'error') return disk.state;
  return live.phase;
}

function attachmentOf(context: DiskContext, disk: DiskRecord): AttachmentDetails | undefined {
  const live = context.live.get(disk.id);
  if (live === undefined) return undefined;
  const stats = live.device?.stats();
  const { mount } = live;
  return {
    path: live.path,
    readOnly: live.readOnly,
    gate: stats?.gate ?? 'closed',
    poisoned: stats?.poisoned ?? false,
    ...(mount === undefined ? {} : { mountedAt: mount.directory }),
    ...(mount?.filesystem === undefined ? {} : { filesystem: mount.filesystem }),
  };
}
