/** Another size for a volume: its new top has it, and what is below ends where it ended. */
import { MadeLayers, releaseLayers } from '../disk/layers.js';
import { layerUsers } from '../disk/lineage.js';
import type { DiskRecord, LayerRecord } from '../disk/records.js';
import { assertDiskSize } from '../disk/sizes.js';
import { deleteLayer, insertLayer, setTopLayer } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller, KeySession } from '../kms/key-service.js';
import { formatSize } from '../units.js';
import { assertNotAttached, assertNotLost } from './attachments.js';
import type { DiskContext } from './context.js';
import { endsUnless } from './deadline.js';
import { assertGrowable } from './filesystem.js';
import { freezeTop } from './freeze.js';
import type { LiveDisk } from './live-disk.js';
import { tooLarge } from './new-volumes.js';
import { assertNotFull, isFull } from './space-watch.js';
import type { Resize } from './volumes.js';

/**
 * Larger while it is in use or not; the loop device of a mounted one follows. Smaller only detached,
 * asked for and confirmed. The size that it has already changes nothing. The caller holds the
 * volume's lock. Throws INVALID_SIZE, WRONG_STATE, CONFIRMATION_REQUIRED, UNSUPPORTED for a
 * filesystem that is to grow and cannot, before anything is changed.
 */
export async function resize(
  context: DiskContext,
  volume: DiskRecord,
  request: Resize,
  caller: Caller,
): Promise<void> {
  const { sizeBytes } = request;
  assertDiskSize(sizeBytes);
  assertNotLost(volume);
  if (sizeBytes < volume.sizeBytes) assertMayShrink(context, volume, request);
  else assertMayGrow(context, volume, request);
  // Also where nothing changes: what is mounted would wait for the key.
  context.keys.assertUsable(volume.keyId);
  if (sizeBytes > volume.sizeBytes) context.extending.add(volume.id);
  try {
    if (sizeBytes !== volume.sizeBytes) await makeTop(context, volume, sizeBytes, caller);
    const live = context.live.get(volume.id);
    await live?.mount?.growLoop(live.place);
  } catch (error) {
    throw tooLarge(error, sizeBytes);
  } finally {
    context.extending.delete(volume.id);
  }
}

/**
 * The filesystem of a mounted volume that has grown becomes as large. The caller holds the volume's
 * lock. Throws when the key goes or space runs out meanwhile; it then grows when they are back.
 */
export async function growFilesystemOf(context: DiskContext, { id }: DiskRecord): Promise<void> {
  const live = context.live.get(id);
  if (live?.mount === undefined) return;
  const growing = live.mount.growFilesystem();
  const isStuck = (): boolean => !live.isOpen || isFull(live);
  if (!(await endsUnless(isStuck, growing))) throw stuck(context, live);
  await growing;
}

function stuck(context: DiskContext, live: LiveDisk): unknown {
  try {
    context.keys.assertUsable(live.keyId);
    assertNotFull(context, live);
  } catch (error) {
    if (!(error instanceof Fault)) return error;
    const { code, message, hint } = error;
    const text = `${live.kind} ${live.name} has grown, its filesystem waits: ${message}`;
    return new Fault(code, text, { cause: error, ...(hint === undefined ? {} : { hint }) });
  }
  return new Fault('IO_ERROR', `${live.kind} ${live.name} has grown, its filesystem waits`, {
    hint: 'ask for the same size again',
  });
}

function assertMayGrow(context: DiskContext, volume: DiskRecord, request: Resize): void {
  const { id, name, sizeBytes: now } = volume;
  if (request.shrink === true && request.sizeBytes > now) {
    throw new Fault('INVALID_SIZE', `volume ${name} has ${now} bytes: it would not shrink`, {
      hint: 'leave out --shrink to make it larger',
    });
  }
  const live = context.live.get(id);
  if (live?.readOnly === true) {
    const cure = live.mount === undefined ? 'detach' : 'unmount';
    throw new Fault('WRONG_STATE', `volume ${name} is attached read-only; cannot resize it`, {
      hint: `keyvol volume ${cure} ${name}`,
    });
  }
  if (request.growFilesystem === true) assertFilesystemMayGrow(name, live);
}

function assertFilesystemMayGrow(name: string, live: LiveDisk | undefined): void {
  if (live?.mount !== undefined) {
    assertGrowable(live.mount.filesystem ?? '', `volume ${name}`);
    return;
  }
  throw new Fault('WRONG_STATE', `volume ${name} is not mounted: its filesystem cannot grow`, {
    hint: `keyvol volume mount ${name} DIR first, or leave out --grow-filesystem`,
  });
}

function assertMayShrink(
  context: DiskContext,
  volume: DiskRecord,
  { sizeBytes, shrink = false, growFilesystem = false, confirm }: Resize,
): void {
  const { name, sizeBytes: now } = volume;
  if (growFilesystem || !shrink) {
    throw new Fault('INVALID_SIZE', `volume ${name} has ${now} bytes, more than ${sizeBytes}`, {
      hint: `make its filesystem smaller and detach it first, then: --shrink --confirm ${name}`,
    });
  }
  assertNotAttached(context, volume, 'shrink');
  if (confirm === name) return;
  const wrong = confirm === undefined ? '' : `; "${confirm}" is not its name`;
  const lost = `what volume ${name} holds beyond ${formatSize(sizeBytes)} would be lost`;
  throw new Fault('CONFIRMATION_REQUIRED', `${lost}${wrong}`, {
    hint: `--confirm ${name} shrinks it all the same`,
  });
}

async function makeTop(
  context: DiskContext,
  volume: DiskRecord,
  sizeBytes: number,
  caller: Caller,
): Promise<void> {
  const top = context.records.layer(volume.topLayerId);
  if (!context.live.has(volume.id) && mayReplace(context, top, sizeBytes)) {
    const isDone = await context.keys.withKey(volume.keyId, caller, (session) =>
      replaceIfEmpty(context, volume, top, sizeBytes, session),
    );
    if (isDone) return;
  }
  await freezeTop(context, volume, caller, () => Promise.resolve([]), sizeBytes);
}

/**
 * Whether the top, if it holds nothing, can go instead of being stacked over: no other disk needs
 * it, no space was promised with it, and it hides nothing that the new one would show.
 */
function mayReplace(context: DiskContext, top: LayerRecord, sizeBytes: number): boolean {
  if (top.preallocated || (layerUsers(context.records).get(top.id)?.length ?? 0) > 1) return false;
  if (top.parentId === null || sizeBytes <= top.sizeBytes) return true;
  return context.records.layer(top.parentId).sizeBytes <= top.sizeBytes;
}

/** False, and nothing is changed, when something was written to the top. */
async function replaceIfEmpty(
  context: DiskContext,
  volume: DiskRecord,
  top: LayerRecord,
  sizeBytes: number,
  session: KeySession,
): Promise<boolean> {
  if (!(await isEmpty(context, top, session))) return false;
  const made = new MadeLayers(context.layers);
  try {
    const { parentId } = top;
    const { record } = await made.create(session, { parentId, sizeBytes, preallocated: false });
    await context.records.commit([
      insertLayer(record),
      setTopLayer(volume.id, record),
      deleteLayer(top.id),
    ]);
    made.keep();
  } finally {
    await made.dispose();
  }
  await context.layers.discard(top.id);
  return true;
}

/** Looks into nothing but the layer's map of holes. */
async function isEmpty(
  context: DiskContext,
  layer: LayerRecord,
  session: KeySession,
): Promise<boolean> {
  const opened = await context.layers.open(session, layer);
  try {
    const device = await context.addon.openDevice({ layers: [opened.device], writable: false });
    try {
      return (await device.seekData(0)) === undefined;
    } finally {
      await device.close();
    }
  } finally {
    releaseLayers([opened]);
  }
}
