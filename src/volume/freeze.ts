/** The O(1) freeze: a volume's top becomes read-only and shared, and a new empty one takes its writes. */
import { MadeLayers, type OpenLayer } from '../disk/layers.js';
import { maxStackDepth } from '../disk/lineage.js';
import type { DiskRecord, LayerRecord } from '../disk/records.js';
import { insertLayer, setTopLayer } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller, KeySession } from '../kms/key-service.js';
import type { Statement } from '../store/store.js';
import { assertNotLost } from './attachments.js';
import type { DiskContext } from './context.js';
import type { LiveDisk } from './live-disk.js';
import type { Mount } from './mount.js';
import { assertNotFull, endsUnlessFull } from './space-watch.js';

/** Makes what else belongs to the same transaction: records over `frozen`, and their layers. */
export type Companions = (
  session: KeySession,
  frozen: LayerRecord,
  made: MadeLayers,
) => Promise<readonly Statement[]>;

/**
 * Freezes the top of `volume`, attached or not, in the order of DESIGN §3. All or nothing. The
 * caller holds the volume's lock.
 */
export async function freezeTop(
  context: DiskContext,
  volume: DiskRecord,
  caller: Caller,
  companions: Companions,
  /** Of the new top, and of the volume from then on. */
  sizeBytes = volume.sizeBytes,
): Promise<void> {
  assertNotLost(volume);
  assertDepth(context, volume);
  const live = context.live.get(volume.id);
  const swap = (): Promise<void> =>
    context.keys.withKey(volume.keyId, caller, (session) =>
      makeAndSwap(context, { ...volume, sizeBytes }, live, session, companions),
    );
  // What can take long is done before the key is held: a disable must not wait for it.
  context.keys.assertUsable(volume.keyId);
  assertNotFull(context, live);
  if (live?.device?.writable === true) {
    await live.device.flush().catch((error: unknown) => explain(error, live));
  }
  await (live?.mount === undefined ? swap() : whileFrozen(context, live, live.mount, swap));
}

/**
 * Freezing writes out what is dirty, for which there may be no space: then it would take until there
 * is some, and nothing new has room either.
 */
async function whileFrozen(
  context: DiskContext,
  live: LiveDisk,
  mount: Mount,
  work: () => Promise<void>,
): Promise<void> {
  let working: Promise<void> | undefined;
  let isGivenUp = false;
  const frozen = mount.whileFrozen(async () => {
    if (isGivenUp) return;
    working = work();
    await working;
  });
  while (!(await endsUnlessFull(live, frozen)) && working === undefined) {
    try {
      assertNotFull(context, live);
    } catch (error) {
      isGivenUp = true;
      throw error;
    }
  }
  await frozen;
}

function explain(error: unknown, { kind, name }: LiveDisk): void {
  const code = error instanceof Fault ? error.code : undefined;
  if (code === 'DISK_POISONED') {
    throw new Fault('DISK_POISONED', `${kind} ${name} is poisoned: a flush failed`, {
      cause: error,
      hint: 'detach it and attach it again',
    });
  }
  // A gate that closes meanwhile is explained best by the key, which is asked next.
  if (code !== 'GATE_CLOSED') throw error;
}

/** Throws LIMIT_REACHED when nothing can stand over the disk's top any more. */
export function assertDepth(context: DiskContext, disk: DiskRecord): void {
  if (context.records.stack(disk.topLayerId).length < maxStackDepth) return;
  throw new Fault(
    'LIMIT_REACHED',
    `${disk.kind} ${disk.name} is ${maxStackDepth} layers deep, which is the most`,
    { hint: `copy its data to a new volume, or roll it back to an older snapshot` },
  );
}

/** Over the top of `volume`, of its size. */
async function makeAndSwap(
  context: DiskContext,
  volume: DiskRecord,
  live: LiveDisk | undefined,
  session: KeySession,
  companions: Companions,
): Promise<void> {
  const frozen = context.records.layer(volume.topLayerId);
  const made = new MadeLayers(context.layers);
  try {
    const top = await made.create(session, {
      parentId: frozen.id,
      sizeBytes: volume.sizeBytes,
      preallocated: false,
    });
    const others = await companions(session, frozen, made);
    const statements = [insertLayer(top.record), setTopLayer(volume.id, top.record), ...others];
    const commit = async (): Promise<void> => {
      await context.records.commit(statements);
      made.keep();
    };
    if (live?.device?.writable === true) await commitAndSwap(live, live.device, top, commit);
    else await commit();
  } finally {
    await made.dispose();
  }
}

async function commitAndSwap(
  live: LiveDisk,
  device: NonNullable<LiveDisk['device']>,
  top: OpenLayer,
  commit: () => Promise<void>,
): Promise<void> {
  await device.hold();
  try {
    await device.stageTop(top.device);
    await commit();
    live.swapTop(top);
  } finally {
    device.resume();
  }
}
