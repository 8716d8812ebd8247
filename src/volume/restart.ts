/** A start brings back what was attached and mounted; a stop leaves the records for it. */
import { fullName } from '../disk/lineage.js';
import type { AttachmentRecord, DiskRecord } from '../disk/records.js';
import { setErrorOfKey } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { DiskContext } from './context.js';
import { LiveDisk } from './live-disk.js';
import { Mount } from './mount.js';
import { endsUnlessFull } from './space-watch.js';

const caller = { principal: 'daemon' };
const cutOffWithinMs = 2000;

/** Attaches and mounts what the records say, and says for each disk what it did or could not. */
export async function restoreAttachments(context: DiskContext): Promise<string[]> {
  const attachments = context.records.attachments();
  const said = await Promise.all(attachments.map((record) => restoreOne(context, record)));
  return said.flat();
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

async function restoreOne(context: DiskContext, record: AttachmentRecord): Promise<string[]> {
  const disk = context.records.disk(record.diskId);
  if (disk === undefined || context.fuse === undefined) return [];
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
  return [await bringUp(context, disk, live, name)];
}

async function bringUp(
  context: DiskContext,
  disk: DiskRecord,
  live: LiveDisk,
  name: string,
): Promise<string> {
  try {
    await context.keys.withKey(disk.keyId, caller, (session) => live.open(session));
    live.phase = 'in-use';
    if (live.mount === undefined) return `attached ${name} again`;
    await live.putMountUp();
    return `mounted ${name} at ${live.mount.directory} again`;
  } catch (error) {
    live.phase = 'in-use';
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
