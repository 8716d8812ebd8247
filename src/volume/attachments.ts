/** Attach, detach, mount and unmount, the same for volumes and images. */
import type { DiskRecord, FileCache, OnKeyLoss } from '../disk/records.js';
import { deleteAttachment, putAttachment, setVolumeUse } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import { assertMkfs, mountableDirectory } from './filesystem.js';
import { LiveDisk } from './live-disk.js';
import { Mount } from './mount.js';
import type { FileSettings, MountRequest } from './volumes.js';

export interface AttachSettings extends FileSettings {
  readonly attachedByMount: boolean;
}

/** Throws KEY_DELETED with the reason when the data of a disk is gone. */
export function assertNotLost(disk: DiskRecord): void {
  if (disk.state !== 'error') return;
  throw new Fault('KEY_DELETED', `${disk.kind} ${disk.name} is lost: ${disk.stateReason}`, {
    hint: `keyvol ${disk.kind} delete removes what is left of it`,
  });
}

/**
 * Throws WRONG_STATE for a disk that would wait for a lost key, if the kernel keeps pages of it:
 * those that wait with a read would keep the others from being dropped.
 */
export function assertCanBeCut(disk: DiskRecord, policy: OnKeyLoss, cache: FileCache): void {
  if (policy !== 'suspend' || cache !== 'kernel') return;
  throw new Fault(
    'WRONG_STATE',
    `${disk.kind} ${disk.name} cannot wait for a lost key while the kernel caches its file`,
    { hint: 'attach it without --cache kernel, or use another --on-key-loss' },
  );
}

function assertFits({ transport, cache }: FileSettings): void {
  if (transport !== 'nbd' || cache === 'direct') return;
  throw new Fault('INVALID_ARGUMENT', 'the kernel caches a file, which an NBD export is not', {
    hint: 'attach it without --cache kernel, or without --nbd',
  });
}

/** Throws WRONG_STATE when the disk is attached. */
export function assertNotAttached(context: DiskContext, disk: DiskRecord, action: string): void {
  const live = context.live.get(disk.id);
  if (live === undefined) return;
  const how = live.transport === 'nbd' ? 'attached over NBD' : 'attached';
  const where = live.mount === undefined ? how : `mounted at ${live.mount.directory}`;
  const cure = live.mount === undefined ? 'detach' : 'unmount';
  throw new Fault('WRONG_STATE', `${disk.kind} ${disk.name} is ${where}; cannot ${action} it`, {
    hint: `keyvol ${disk.kind} ${cure} ${disk.name}`,
  });
}

/** The caller holds the disk's lock. */
export async function attach(
  context: DiskContext,
  disk: DiskRecord,
  settings: AttachSettings,
  caller: Caller,
): Promise<LiveDisk> {
  assertNotAttached(context, disk, 'attach');
  assertNotLost(disk);
  assertCanBeCut(disk, disk.onKeyLoss, settings.cache);
  assertFits(settings);
  const live = new LiveDisk(context, disk, settings);
  context.watch.register(live);
  context.live.set(disk.id, live);
  try {
    await context.keys.withKey(disk.keyId, caller, (session) => live.open(session));
    await context.records.commit([
      putAttachment({ diskId: disk.id, mountedAt: null, filesystem: null, ...settings }),
      setVolumeUse(disk.id, 'in-use'),
    ]);
    live.phase = 'in-use';
    return live;
  } catch (error) {
    await forget(context, live).catch(() => undefined);
    throw error;
  }
}

/** The caller holds the disk's lock. Throws IO_ERROR when the last flush failed: detached all the same. */
export async function detach(
  context: DiskContext,
  disk: DiskRecord,
  force: boolean,
): Promise<void> {
  const live = context.live.get(disk.id);
  if (live === undefined) {
    throw new Fault('WRONG_STATE', `${disk.kind} ${disk.name} is not attached`);
  }
  if (live.mount !== undefined) assertNotAttached(context, disk, 'detach');
  const users = force ? 0 : await live.users();
  if (users > 0) {
    throw new Fault('BUSY', `${disk.kind} ${disk.name} is still in use`, {
      hint: `${live.endUsers}, or detach it with --force`,
    });
  }
  // First, so that a detach that cannot be recorded has changed nothing.
  await context.records.commit([deleteAttachment(disk.id), setVolumeUse(disk.id, 'available')]);
  if (force) live.revokeHandles('all');
  const failure = await forget(context, live).catch((error: unknown) => ({ error }));
  if (failure !== undefined) throw unflushed(disk, failure.error);
}

/** The caller holds the disk's lock. Attaches if need be. */
export async function mount(
  context: DiskContext,
  disk: DiskRecord,
  request: MountRequest,
  readOnly: boolean,
  caller: Caller,
): Promise<void> {
  if (request.mkfs !== undefined) assertMkfs(request.mkfs);
  assertMountable(context, disk, request, readOnly);
  const directory = await mountableDirectory(
    request.directory,
    [context.stateDir, context.runtimeDir],
    ourLoops(context),
  );
  // Nested, which is safe: who holds a directory waits for no disk.
  await context.locks.run([`directory:${directory}`], async () => {
    assertNotAwaited(context, directory);
    const before = context.live.get(disk.id);
    const attachedByMount = before === undefined;
    const settings = { readOnly, cache: 'direct', transport: 'fuse', attachedByMount } as const;
    const live = before ?? (await attach(context, disk, settings, caller));
    try {
      await putUp(context, live, directory, request.mkfs, settings.attachedByMount);
    } catch (error) {
      if (before === undefined) await detach(context, disk, true).catch(() => undefined);
      throw error;
    }
  });
}

/** The caller holds the disk's lock. Detaches if `mount` attached it. */
export async function unmount(context: DiskContext, disk: DiskRecord): Promise<void> {
  const live = context.live.get(disk.id);
  if (live?.mount === undefined) {
    throw new Fault('WRONG_STATE', `${disk.kind} ${disk.name} is not mounted`);
  }
  await live.mount.down(() => live.refuse());
  await live.mount.abandon();
  live.endMount();
  const attachment = context.records.attachment(disk.id);
  if (attachment?.attachedByMount === true) return detach(context, disk, true);
  await context.records.commit([
    putAttachment({
      diskId: disk.id,
      readOnly: live.readOnly,
      cache: live.cache,
      transport: live.transport,
      mountedAt: null,
      filesystem: null,
      attachedByMount: false,
    }),
  ]);
}

/** Ends an attachment but for its record. */
export async function forget(context: DiskContext, live: LiveDisk): Promise<undefined> {
  try {
    await live.close();
  } finally {
    context.watch.unregister(live);
    context.live.delete(live.id);
  }
  return undefined;
}

function assertMountable(
  context: DiskContext,
  disk: DiskRecord,
  request: MountRequest,
  readOnly: boolean,
): void {
  assertNotLost(disk);
  context.keys.assertUsable(disk.keyId);
  const live = context.live.get(disk.id);
  if (live?.mount !== undefined || live?.transport === 'nbd') {
    assertNotAttached(context, disk, 'mount');
  }
  if (request.mkfs !== undefined && (live?.readOnly ?? readOnly)) {
    throw new Fault(
      'READ_ONLY',
      `${disk.kind} ${disk.name} is read-only; cannot make a filesystem`,
    );
  }
}

/** A disk whose key is away comes back where it was mounted. */
function assertNotAwaited(context: DiskContext, directory: string): void {
  const other = [...context.live.values()].find((live) => live.mount?.directory === directory);
  if (other === undefined) return;
  throw new Fault('WRONG_STATE', `${directory} belongs to ${other.kind} ${other.name}`, {
    hint: `choose another directory, or: keyvol ${other.kind} unmount ${other.name}`,
  });
}

async function putUp(
  context: DiskContext,
  live: LiveDisk,
  directory: string,
  mkfs: string | undefined,
  attachedByMount: boolean,
): Promise<void> {
  const disk = `${live.kind} ${live.name}`;
  const mounted = new Mount(context.host, { disk, directory, readOnly: live.readOnly });
  // Known before it is up, so that a key lost meanwhile takes it down.
  live.mount = mounted;
  try {
    await live.putMountUp(mkfs);
    const filesystem = mounted.filesystem ?? null;
    const { id: diskId, readOnly, cache, transport } = live;
    const what = { diskId, readOnly, cache, transport, attachedByMount };
    await context.records.commit([putAttachment({ ...what, mountedAt: directory, filesystem })]);
  } catch (error) {
    await mounted.abandon().catch(() => undefined);
    live.endMount();
    // A key lost on the way explains an I/O error better than the I/O error does.
    context.keys.assertUsable(live.keyId);
    throw error;
  }
}

function ourLoops(context: DiskContext): string[] {
  return [...context.live.values()].flatMap((live) => live.mount?.loop ?? []);
}

function unflushed(disk: DiskRecord, cause: unknown): Fault {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Fault(
    'IO_ERROR',
    `${disk.kind} ${disk.name} is detached, but its last writes may be lost: ${why}`,
    { cause },
  );
}
