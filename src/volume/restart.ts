/** A start brings back what was attached and mounted; a stop leaves the records for it. */
import { fullName } from '../disk/lineage.js';
import type { AttachmentRecord } from '../disk/records.js';
import { setErrorOfKey } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { DiskContext } from './context.js';
import { LiveDisk } from './live-disk.js';
import { readMounts } from './mount-table.js';
import { Mount } from './mount.js';
import { endsUnlessFull } from './space-watch.js';
import { loopsOf, releaseLoops } from './stale-mounts.js';

const caller = { principal: 'daemon' };
const cutOffWithinMs = 2000;

/**
 * Attaches what the records say, then lets `fuse` serve, then mounts what was mounted; says for each
 * disk what it did or could not. A filesystem that is mounted still, for a holder has kept the
 * mount below it, goes on as it is.
 */
export async function restoreAttachments(context: DiskContext): Promise<string[]> {
  const { fuse } = context;
  if (fuse === undefined) return [];
  const attachments = context.records.attachments();
  // Until the first answer, programs that have a file open wait for it.
  fuse.keep(attachments.map(({ diskId }) => diskId));
  const restoring = await Promise.all(attachments.map((record) => reopen(context, record)));
  fuse.serve();
  const disks = restoring.flatMap((disk) => disk ?? []);
  await fuse.settle();
  if (fuse.kept) await adoptMounts(context, disks);
  const inUse = new Set(disks.flatMap(({ live }) => live.mount?.loop ?? []));
  const said = await releaseLoops(context.runtimeDir, context.host, inUse);
  return [...said, ...(await Promise.all(disks.map(bringUp)))];
}

/** Disks whose key ended without their records being told, for a crash or a full disk came between. */
export async function markLost(context: DiskContext): Promise<string[]> {
  const usable = context.records.disks().filter((disk) => disk.state !== 'error');
  const said: string[] = [];
  for (const keyId of new Set(usable.map((disk) => disk.keyId))) {
    const reason = whyLost(context, keyId);
    if (reason === undefined) continue;
    const marked = context.records.commit([setErrorOfKey(keyId, reason)]);
    said.push(await marked.then(() => reason, String));
  }
  return said;
}

function whyLost(context: DiskContext, keyId: string): string | undefined {
  try {
    context.keys.assertUsable(keyId);
  } catch (error) {
    if (error instanceof Fault && error.code === 'KEY_DELETED') return error.message;
  }
  return undefined;
}

/** Unmounts filesystems, takes files away, closes devices. Never throws; says what went wrong. */
export async function shutDown(context: DiskContext): Promise<string[]> {
  const said = await Promise.all([...context.live.values()].map((live) => stop(context, live)));
  return said.flat();
}

interface Restoring {
  readonly live: LiveDisk;
  readonly name: string;
  /** Why it could not be opened; most often its key does not allow it. */
  readonly failure?: Error;
}

async function reopen(
  context: DiskContext,
  record: AttachmentRecord,
): Promise<Restoring | undefined> {
  const disk = context.records.disk(record.diskId);
  if (disk === undefined) return undefined;
  const live = new LiveDisk(context, disk, record.readOnly);
  if (record.mountedAt !== null) {
    const { mountedAt: directory, readOnly } = record;
    const settings = { disk: `${disk.kind} ${disk.name}`, directory, readOnly };
    live.mount = new Mount(context.host, settings);
  }
  // Even if its key does not allow it now: it goes on when the key is enabled again.
  context.watch.register(live);
  context.live.set(disk.id, live);
  const name = `${disk.kind} ${fullName(context.records, disk)}`;
  try {
    await context.keys.withKey(disk.keyId, caller, (session) => live.open(session));
    return { live, name };
  } catch (error) {
    return { live, name, failure: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    live.phase = 'in-use';
  }
}

async function adoptMounts(
  { runtimeDir }: DiskContext,
  disks: readonly Restoring[],
): Promise<void> {
  const ours = new Set((await loopsOf(runtimeDir)).map(({ device }) => device));
  const mounts = (await readMounts()).filter(({ source }) => ours.has(source));
  for (const { live } of disks) {
    const found = mounts.find(({ directory }) => directory === live.mount?.directory);
    if (found !== undefined) await live.mount?.adopt(found);
  }
}

async function bringUp({ live, name, failure }: Restoring): Promise<string> {
  try {
    if (failure !== undefined) {
      await live.lockMount();
      throw failure;
    }
    if (live.mount === undefined) {
      live.endMount(); // one that was killed half-way
      return `attached ${name} again`;
    }
    const wasUp = live.mount.isUp;
    await live.putMountUp();
    return wasUp
      ? `${name} is mounted at ${live.mount.directory} as before`
      : `mounted ${name} at ${live.mount.directory} again`;
  } catch (error) {
    const why = error instanceof Fault ? error.message : String(error);
    return `could not restore ${name}: ${why}`;
  }
}

async function stop(context: DiskContext, live: LiveDisk): Promise<string[]> {
  const said: string[] = [];
  const tell = (error: unknown): void => {
    said.push(
      `${live.kind} ${live.name}: ${error instanceof Error ? error.message : String(error)}`,
    );
  };
  live.phase = 'detaching';
  if (live.mount !== undefined) await takeDown(live, live.mount).catch(tell);
  await live.close().catch(tell);
  context.watch.unregister(live);
  context.live.delete(live.id);
  return said;
}

/** Writes that wait for space must not keep a stop waiting: they fail then, unacknowledged. */
async function takeDown(live: LiveDisk, mount: Mount): Promise<void> {
  const synced = mount.sync();
  const down = synced.catch(() => undefined).then(() => mount.abandon());
  if (!(await endsUnlessFull(live, down))) await live.device?.cutOff(cutOffWithinMs);
  await Promise.all([synced, down]);
}
