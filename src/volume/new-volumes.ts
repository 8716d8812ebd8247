/** New volumes: empty, from an image or snapshot, from a file, and clones. All or nothing. */
import { randomUUID } from 'node:crypto';
import { MadeLayers } from '../disk/layers.js';
import { fullName } from '../disk/lineage.js';
import { assertDiskName } from '../disk/names.js';
import type { DiskRecord, LayerRecord, OnKeyLoss } from '../disk/records.js';
import {
  assertDiskSize,
  assertFreeSpace,
  containerOverheadBytes,
  recordsSpaceBytes,
  roundUpToSector,
} from '../disk/sizes.js';
import { insertDisk, insertLayer } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller, MasterKey } from '../kms/key-service.js';
import { openSource } from '../source/open-source.js';
import { assertNotLost } from './attachments.js';
import { nameLock, withDisk, type DiskContext } from './context.js';
import { assertDepth, freezeTop } from './freeze.js';
import { importSource, noSha256 } from './import.js';
import type { LongCall, NewVolume } from './volumes.js';

export interface MadeVolume {
  readonly id: string;
  readonly remarks: readonly string[];
}

/** Throws before anything is written unless names, sizes, sources and the key's state allow it. */
export async function createVolume(
  context: DiskContext,
  volume: NewVolume,
  caller: Caller,
  call: LongCall,
): Promise<MadeVolume> {
  assertDiskName('volume', volume.name);
  if (volume.sizeBytes !== undefined) assertDiskSize(volume.sizeBytes);
  assertOneSource(volume);
  const { image, snapshot, file } = volume;
  if (image !== undefined) {
    return inheriting(context, volume, caller, context.records.find('image', image));
  }
  if (snapshot !== undefined) {
    return inheriting(context, volume, caller, context.records.findSnapshot(snapshot));
  }
  return context.locks.run([nameLock('volume', volume.name)], async () => {
    context.records.assertNameFree('volume', volume.name);
    if (file !== undefined) return fromFile(context, volume, file, caller, call);
    return empty(context, volume, caller);
  });
}

/** Both get a new top over what was the volume's; neither sees what the other writes from now on. */
export async function cloneVolume(
  context: DiskContext,
  nameOrId: string,
  name: string,
  caller: Caller,
): Promise<string> {
  assertDiskName('volume', name);
  const id = randomUUID();
  const locks = [nameLock('volume', name)];
  const clone = async (volume: DiskRecord): Promise<void> => {
    context.records.assertNameFree('volume', name);
    await freezeTop(context, volume, caller, async (session, frozen, made) => {
      const { sizeBytes } = frozen;
      const top = await made.create(session, {
        parentId: frozen.id,
        sizeBytes,
        preallocated: false,
      });
      const source = `volume:${volume.name}`;
      const record = volumeRecord(
        context,
        { id, name, source, sourceSha256: volume.sourceSha256, onKeyLoss: volume.onKeyLoss },
        top.record,
      );
      return [insertLayer(top.record), insertDisk(record)];
    });
  };
  await withDisk(context, 'volume', nameOrId, clone, locks);
  return id;
}

function assertOneSource(volume: NewVolume): void {
  const sources = [volume.image, volume.snapshot, volume.file].filter((one) => one !== undefined);
  if (sources.length > 1) {
    throw new Fault('INVALID_ARGUMENT', `volume ${volume.name} can have only one source`, {
      hint: 'give one of --image, --snapshot and --file',
    });
  }
  if (sources.length === 0 && volume.sizeBytes === undefined) {
    throw new Fault('INVALID_ARGUMENT', `volume ${volume.name} needs a size`, {
      hint: 'add --size 10G, or a source',
    });
  }
  assertFormatOfFile(`volume ${volume.name}`, volume);
  if (volume.key !== undefined && (volume.image ?? volume.snapshot) !== undefined) {
    throw keyNotChoosable(`volume ${volume.name}`, volume.image ?? volume.snapshot ?? '');
  }
}

/** Throws INVALID_ARGUMENT for a format without the file whose it is. */
export function assertFormatOfFile(disk: string, { file, format }: Partial<NewVolume>): void {
  if (format === undefined || file !== undefined) return;
  throw new Fault('INVALID_ARGUMENT', `${disk} is not made from a file that could be ${format}`, {
    hint: 'give --format with --file only',
  });
}

/** The master key is inherited (EVS-inheritance, IMS-08). */
export function keyNotChoosable(disk: string, source: string): Fault {
  return new Fault(
    'KEY_NOT_CHOOSABLE',
    `the key of ${disk} is that of ${source}; it cannot be chosen`,
    {
      hint: 'leave out --key; `keyvol image copy` gives the content of an image another key',
    },
  );
}

async function empty(context: DiskContext, volume: NewVolume, caller: Caller): Promise<MadeVolume> {
  const sizeBytes = volume.sizeBytes ?? 0;
  const preallocated = volume.preallocate ?? false;
  const key = await keyAndRoom(context, volume.key, 'evs', { sizeBytes, preallocated }, caller);
  return overLayer(
    context,
    volume,
    caller,
    key.id,
    { parentId: null, sizeBytes, preallocated },
    '',
  );
}

async function inheriting(
  context: DiskContext,
  volume: NewVolume,
  caller: Caller,
  found: DiskRecord,
): Promise<MadeVolume> {
  return context.locks.run([found.id, nameLock('volume', volume.name)], async () => {
    const source = context.records.disk(found.id);
    if (source === undefined) {
      throw new Fault('WRONG_STATE', `${found.kind} ${found.name} was deleted meanwhile`);
    }
    context.records.assertNameFree('volume', volume.name);
    assertNotLost(source);
    assertDepth(context, source);
    context.keys.assertUsable(source.keyId);
    const sizeBytes = volume.sizeBytes ?? source.sizeBytes;
    const sourceName = `${source.kind} ${fullName(context.records, source)}`;
    assertNotSmaller(volume.name, sizeBytes, sourceName, source.sizeBytes);
    const preallocated = volume.preallocate ?? false;
    await assertRoom(context, { sizeBytes, preallocated });
    const layer = { parentId: source.topLayerId, sizeBytes, preallocated };
    return overLayer(context, volume, caller, source.keyId, layer, sourceName.replace(' ', ':'));
  });
}

async function fromFile(
  context: DiskContext,
  volume: NewVolume,
  file: string,
  caller: Caller,
  call: LongCall,
): Promise<MadeVolume> {
  const source = await openSource(context, file, volume.format, call.signal);
  try {
    const sizeBytes = volume.sizeBytes ?? source.diskBytes;
    assertNotSmaller(volume.name, sizeBytes, file, source.diskBytes);
    const preallocated = volume.preallocate ?? false;
    const key = await keyAndRoom(context, volume.key, 'evs', { sizeBytes, preallocated }, caller);
    const id = randomUUID();
    const settings = {
      disk: `volume ${volume.name}`,
      keyId: key.id,
      sizeBytes,
      preallocated,
    };
    const remarks = [...source.remarks];
    await importSource(context, source, settings, caller, call, ({ layer, sha256 }) => {
      if (sha256 === undefined) remarks.push(noSha256);
      const naming = namingOf(volume, id, `file:${file}`, sha256);
      return commitOver(context, naming, layer);
    });
    return { id, remarks };
  } finally {
    await source.close();
  }
}

async function overLayer(
  context: DiskContext,
  volume: NewVolume,
  caller: Caller,
  keyId: string,
  layer: { parentId: string | null; sizeBytes: number; preallocated: boolean },
  source: string,
): Promise<MadeVolume> {
  const id = randomUUID();
  await context.keys.withKey(keyId, caller, async (session) => {
    const made = new MadeLayers(context.layers);
    try {
      const top = await made.create(session, layer);
      await commitOver(context, namingOf(volume, id, source), top.record);
      made.keep();
    } catch (error) {
      throw tooLarge(error, layer.sizeBytes);
    } finally {
      await made.dispose();
    }
  });
  return { id, remarks: [] };
}

interface Naming {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly sourceSha256: string;
  readonly onKeyLoss: OnKeyLoss;
}

function namingOf(volume: NewVolume, id: string, source: string, sourceSha256 = ''): Naming {
  const { name, onKeyLoss = 'deny' } = volume;
  return { id, name, source, sourceSha256, onKeyLoss };
}

async function commitOver(context: DiskContext, naming: Naming, top: LayerRecord): Promise<void> {
  await context.records.commit([insertLayer(top), insertDisk(volumeRecord(context, naming, top))]);
}

function volumeRecord(context: DiskContext, naming: Naming, top: LayerRecord): DiskRecord {
  return {
    ...naming,
    kind: 'volume',
    volumeId: null,
    topLayerId: top.id,
    keyId: top.keyId,
    sizeBytes: top.sizeBytes,
    state: 'available',
    stateReason: '',
    createdAtMs: context.clock.nowMs(),
  };
}

interface Room {
  readonly sizeBytes: number;
  readonly preallocated: boolean;
}

/**
 * The named key, or the service's default one, when it is usable and the host has room: asked in
 * this order, for a default key that is not there yet is made.
 */
export async function keyAndRoom(
  context: DiskContext,
  nameOrId: string | undefined,
  service: 'evs' | 'ims',
  room: Room,
  caller: Caller,
): Promise<MasterKey> {
  const named = nameOrId === undefined ? undefined : context.keys.findKey(nameOrId);
  if (named !== undefined) context.keys.assertUsable(named.id);
  await assertRoom(context, room);
  return named ?? context.keys.defaultKey(service, caller);
}

async function assertRoom(context: DiskContext, { sizeBytes, preallocated }: Room): Promise<void> {
  const leastBytes = containerOverheadBytes + recordsSpaceBytes;
  await assertFreeSpace(context.layers.directory, leastBytes + (preallocated ? sizeBytes : 0));
}

function assertNotSmaller(
  name: string,
  sizeBytes: number,
  source: string,
  sourceBytes: number,
): void {
  if (sizeBytes >= sourceBytes) return;
  throw new Fault(
    'INVALID_SIZE',
    `volume ${name} of ${sizeBytes} bytes would be smaller than ${source} of ${sourceBytes} bytes`,
    { hint: `give at least ${roundUpToSector(sourceBytes)}, or leave out --size` },
  );
}

/** A sparse file needs no space, so a file that cannot be made that long is too long for its host. */
export function tooLarge(error: unknown, sizeBytes: number): unknown {
  if (
    !(error instanceof Fault) ||
    error.code !== 'NO_SPACE' ||
    !/EFBIG|too large/i.test(error.message)
  ) {
    return error;
  }
  return new Fault(
    'INVALID_SIZE',
    `the host's filesystem cannot hold a file of ${sizeBytes} bytes`,
    {
      cause: error,
      hint: 'choose a smaller size',
    },
  );
}
