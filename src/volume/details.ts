/** Everything a view of a disk needs, gathered from records, files and what is attached. */
import { fullName, layerUsers, type LayerUsers } from '../disk/lineage.js';
import type { DiskRecord, LayerRecord } from '../disk/records.js';
import type { DiskContext } from './context.js';
import { healthOf } from './health.js';
import type { AttachmentDetails, DiskDetails, ImpactedDisk } from './volumes.js';

/** Of the disk that `find` finds. */
export async function detailsOf(
  context: DiskContext,
  find: () => DiskRecord,
): Promise<DiskDetails> {
  const [details] = await detailsOfAll(context, () => [find()]);
  if (details === undefined) throw new Error('one disk has one set of details');
  return details;
}

/** Of the disks that `find` finds. */
export async function detailsOfAll(
  context: DiskContext,
  find: () => readonly DiskRecord[],
): Promise<DiskDetails[]> {
  const found = context.records.atOneMoment(() => {
    const users = layerUsers(context.records);
    return find().map((disk) => lookUp(context, disk, users));
  });
  return Promise.all(found.map((recorded) => weigh(context, recorded)));
}

/** Every disk whose data needs the key: a key is inherited, so the lineage has it in its records. */
export function impactOf(context: DiskContext, keyId: string): ImpactedDisk[] {
  const impactOn = (disk: DiskRecord): ImpactedDisk => {
    const live = context.live.get(disk.id);
    return {
      name: fullName(context.records, disk),
      kind: disk.kind,
      state: disk.state,
      attached: live !== undefined,
      ...(live?.mount === undefined ? {} : { mountedAt: live.mount.directory }),
    };
  };
  const { records } = context;
  return records.atOneMoment(() => records.disksOfKey(keyId).map(impactOn));
}

interface Recorded extends Omit<DiskDetails, 'usedBytes' | 'sharedBytes' | 'layerCount'> {
  readonly stack: readonly LayerRecord[];
  /** Layers of it that no other disk needs. */
  readonly own: ReadonlySet<string>;
}

function lookUp(context: DiskContext, disk: DiskRecord, users: LayerUsers): Recorded {
  const stack = context.records.stack(disk.topLayerId);
  const own = stack.filter(({ id }) => (users.get(id)?.length ?? 0) <= 1);
  const attachment = attachmentOf(context, disk);
  const volume = disk.volumeId === null ? undefined : context.records.disk(disk.volumeId);
  return {
    stack,
    own: new Set(own.map(({ id }) => id)),
    record: { ...disk, state: visibleState(context, disk) },
    health: healthOf(context, disk),
    ...(volume === undefined ? {} : { volumeName: volume.name }),
    ...(attachment === undefined ? {} : { attachment }),
  };
}

async function weigh(
  { layers }: DiskContext,
  { stack, own, ...details }: Recorded,
): Promise<DiskDetails> {
  let usedBytes = 0;
  let sharedBytes = 0;
  const weighLayer = async ({ id }: LayerRecord): Promise<void> => {
    const bytes = await layers.allocatedBytes(id);
    if (own.has(id)) usedBytes += bytes;
    else sharedBytes += bytes;
  };
  await Promise.all(stack.map(weighLayer));
  return { ...details, usedBytes, sharedBytes, layerCount: stack.length };
}

/** Passing states are not recorded: after a crash nothing is on its way. */
function visibleState(context: DiskContext, disk: DiskRecord): DiskRecord['state'] {
  if (context.extending.has(disk.id)) return 'extending';
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
    transport: live.transport,
    ...(live.transport === 'nbd' ? { uri: live.place } : { path: live.place }),
    readOnly: live.readOnly,
    cache: live.cache,
    gate: stats?.gate ?? 'closed',
    poisoned: stats?.poisoned ?? false,
    ...(mount === undefined ? {} : { mountedAt: mount.directory }),
    ...(mount?.filesystem === undefined ? {} : { filesystem: mount.filesystem }),
  };
}
