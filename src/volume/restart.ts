/** A start brings back what was attached and mounted; a stop leaves the records for it. */
import { join, relative } from 'node:path';
import { fullName } from '../disk/lineage.js';
import type { AttachmentRecord } from '../disk/records.js';
import { setErrorOfKey } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { FuseSession } from '../device/index.js';
import type { DiskContext } from './context.js';
import { succeedsWithin, within } from './deadline.js';
import { LiveDisk } from './live-disk.js';
import { readMounts, realPathOf } from './mount-table.js';
import { Mount } from './mount.js';
import { clearCaches } from './page-cache.js';
import { endsUnlessFull } from './space-watch.js';
import { loopsOf, releaseLoops } from './stale-mounts.js';

const caller = { principal: 'daemon' };
const cutOffWithinMs = 2000;
const settledWithinMs = 10_000;
/** What waits for a key, a freeze most likely, does not settle. */
const settledWithoutKeyWithinMs = 1000;
const cachesWithinMs = 3000;
const pagesWithinMs = 1000;

/**
 * Attaches what the records say, then lets `fuse` serve, then mounts what was mounted; says for each
 * disk what it did or could not. A filesystem that is mounted still, for a holder has kept the
 * mount below it, goes on as it is.
 */
export async function restoreAttachments(context: DiskContext): Promise<string[]> {
  const attachments = context.records.attachments();
  const files = attachments.filter(({ transport }) => transport === 'fuse');
  const exported = attachments.filter(({ transport }) => transport === 'nbd');
  const said = await Promise.all([
    context.fuse === undefined ? [] : restoreFiles(context, context.fuse, files),
    restoreExports(context, exported),
  ]);
  return said.flat();
}

/** Their clients have lost their connections and may come again. */
async function restoreExports(
  context: DiskContext,
  attachments: readonly AttachmentRecord[],
): Promise<string[]> {
  const restoring = await Promise.all(attachments.map((record) => reopen(context, record)));
  return Promise.all(restoring.flatMap((disk) => disk ?? []).map(bringUp));
}

async function restoreFiles(
  context: DiskContext,
  fuse: FuseSession,
  attachments: readonly AttachmentRecord[],
): Promise<string[]> {
  // Until the first answer, programs that have a file open wait for it.
  const inherited = fuse.keep(attachments.map(({ diskId }) => diskId));
  const restoring = await Promise.all(attachments.map((record) => reopen(context, record)));
  fuse.serve();
  // Of gates that were another's. Each by itself, for one whose readers wait must not hold up others.
  const dropped = inherited.map((file) =>
    succeedsWithin(pagesWithinMs, fuse.dropInheritedPages(file)),
  );
  const disks = restoring.flatMap((disk) => disk ?? []);
  const haveKeys = disks.every(({ live }) => live.isOpen);
  const settleMs = haveKeys ? settledWithinMs : settledWithoutKeyWithinMs;
  await within(settleMs, fuse.settle(), () => undefined);
  await Promise.all(dropped);
  if (fuse.kept) await adoptMounts(context, fuse, disks);
  const inUse = new Set(disks.flatMap(({ live }) => live.mount?.loop ?? []));
  const said = await releaseLoops(context.runtimeDir, context.host, inUse);
  said.push(...(await Promise.all(disks.map(bringUp))));
  // The former daemon may have ended before it could do that.
  const locked = disks.map(({ live }) => live.lockedMount?.loop);
  await within<unknown>(cachesWithinMs, clearCaches(context.host, locked, false), () => undefined);
  return said;
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
  const live = new LiveDisk(context, disk, record);
  if (record.mountedAt !== null) {
    const { mountedAt: directory, readOnly, filesystem } = record;
    live.mount = new Mount(context.host, {
      disk: `${disk.kind} ${disk.name}`,
      directory,
      readOnly,
      ...(filesystem === null ? {} : { filesystem }),
    });
  }
  // Even if its key does not allow it now: it goes on when the key is enabled again.
  context.watch.register(live);
  context.live.set(disk.id, live);
  const name = `${disk.kind} ${fullName(context.records, disk)}`;
  try {
    await context.keys.withKey(disk.keyId, caller, (session) => live.open(session));
    return { live, name };
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    // Until it is known whether its filesystem is frozen, that must meet no error.
    const waits = live.onKeyLoss === 'suspend' || live.mount !== undefined;
    if (isLocked(context, live) && waits) await live.openLocked().catch(() => undefined);
    return { live, name, failure };
  } finally {
    live.phase = 'in-use';
  }
}

/** The path of its file as the kernel shows it; asking the file itself would wait for us. */
async function backingFileOf({ runtimeDir }: DiskContext, live: LiveDisk): Promise<string> {
  return join(await realPathOf(runtimeDir), relative(runtimeDir, live.place));
}

function isLocked(context: DiskContext, live: LiveDisk): boolean {
  try {
    context.keys.assertUsable(live.keyId);
    return false;
  } catch {
    return true;
  }
}

async function adoptMounts(
  context: DiskContext,
  fuse: FuseSession,
  disks: readonly Restoring[],
): Promise<void> {
  const loops = await loopsOf(context.runtimeDir);
  const frozen = await fuse.frozen();
  const mounts = await readMounts();
  for (const { live } of disks) {
    const path = await backingFileOf(context, live);
    const sources = loops.flatMap(({ device, backingFile }) =>
      backingFile === path ? device : [],
    );
    const mounted = mounts.find(
      ({ directory, source }) => directory === live.mount?.directory && sources.includes(source),
    );
    const filesystem = live.mount?.filesystem;
    // Unmounted by someone while it was frozen, it is still there, and reached through the holder.
    const unmounted = sources.find((source) => frozen.includes(source));
    if (mounted !== undefined) {
      const isLocked = frozen.includes(mounted.source) || (live.readOnly && !live.isOpen);
      live.mount?.adopt({ ...mounted, isLocked });
    } else if (unmounted !== undefined && filesystem !== undefined) {
      live.mount?.adopt({ source: unmounted, filesystem, isLocked: true });
    }
  }
}

async function bringUp({ live, name, failure }: Restoring): Promise<string> {
  try {
    if (failure !== undefined) {
      // What is mounted and was not frozen in time must show nothing.
      const mustComeDown = live.mount?.isUp === true && live.lockedMount === undefined;
      await (mustComeDown ? live.giveUp() : live.closeFittingly());
      const locked = live.lockedMount?.directory;
      if (locked !== undefined) return `${name} stays locked at ${locked}: ${failure.message}`;
      throw failure;
    }
    if (live.mount === undefined) {
      live.endMount(); // one that was killed half-way
      return `attached ${name} again`;
    }
    const wasUp = live.mount.isUp;
    const remark = await live.goOn();
    if (remark !== undefined) return `mounted ${name} at ${live.mount.directory} again: ${remark}`;
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
  if (!live.isOpen) await live.refuse();
  const synced = mount.sync();
  const down = synced.catch(() => undefined).then(() => mount.abandon());
  if (!(await endsUnlessFull(live, down))) await live.device?.cutOff(cutOffWithinMs);
  await Promise.all([synced, down]);
}
