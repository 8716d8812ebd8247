/** The files that an export writes: raw, or a LUKS2 container that any cryptsetup opens. */
import { dirname } from 'node:path';
import type { Device, Secret } from '../device/index.js';
import { dataOffsetBytes } from '../disk/layer-match.js';
import { assertFreeSpace } from '../disk/sizes.js';
import { Fault } from '../fault.js';
import type { DiskContext } from './context.js';
import type { CopyOrder } from './copy.js';
import { assertNewFile, NewFile } from './new-file.js';
import type { DiskExport, Luks2Export } from './volumes.js';

/** A new file, not there under its name until `keep`. The caller ends it with `dispose`. */
export interface ExportTarget {
  readonly wanted: CopyOrder['wanted'];
  /** Sectors at their place in the disk. */
  write(data: Buffer, offsetBytes: number): Promise<void>;
  /** Makes what was written durable; nothing is written after. */
  sync(): Promise<void>;
  keep(): Promise<void>;
  dispose(): Promise<void>;
}

/** Throws as NewFile, and NO_SPACE at once where a LUKS2 file does not fit. */
export function newTarget(
  context: DiskContext,
  sizeBytes: number,
  target: DiskExport,
): Promise<ExportTarget> {
  return target.format === 'raw'
    ? newRawFile(target.file, sizeBytes)
    : newLuks2File(context, sizeBytes, target);
}

async function newRawFile(path: string, sizeBytes: number): Promise<ExportTarget> {
  const file = await NewFile.create(path);
  return {
    wanted: 'data',
    write: (data, offsetBytes) => file.write(data, offsetBytes),
    sync: () => file.sync(sizeBytes),
    keep: () => file.keep(),
    dispose: () => file.dispose(),
  };
}

async function newLuks2File(
  context: DiskContext,
  sizeBytes: number,
  target: Luks2Export,
): Promise<ExportTarget> {
  await assertNewFile(target.file);
  const fileBytes = dataOffsetBytes + sizeBytes;
  const hint = 'free some space there, or choose another directory';
  await assertFreeSpace(dirname(target.file), fileBytes, hint);
  const { addon } = context;
  const passphrase = await receivePassphrase(context, target);
  const dataKey = addon.generateDataKey();
  try {
    return await formatLuks2(context, sizeBytes, target, dataKey, passphrase);
  } finally {
    passphrase.release();
    dataKey.release();
  }
}

async function receivePassphrase(
  { addon }: DiskContext,
  { passphraseSocket: socket }: Luks2Export,
): Promise<Secret> {
  try {
    return await addon.receiveSecret(socket);
  } catch (cause) {
    if (!(cause instanceof Fault) || cause.code !== 'FILE_NOT_FOUND') throw cause;
    throw new Fault('FILE_NOT_FOUND', `there is no socket ${socket}`, { cause });
  }
}

async function formatLuks2(
  { addon }: DiskContext,
  sizeBytes: number,
  { file: path, pbkdf }: Luks2Export,
  dataKey: Secret,
  passphrase: Secret,
): Promise<ExportTarget> {
  const file = await NewFile.create(path, (partial) =>
    addon.createFlatLuks2({ path: partial, sizeBytes, pbkdf }, dataKey, passphrase),
  );
  try {
    const layers = [{ path: file.partial, sizeBytes, dataKey, preallocated: false }];
    const device = await addon.openDevice({ layers, writable: true });
    return luks2Target(file, device);
  } catch (error) {
    await file.dispose();
    throw error;
  }
}

/** Other tools decrypt a hole to noise, so everything is written. */
function luks2Target(file: NewFile, device: Device): ExportTarget {
  return {
    wanted: 'everything',
    write: (data, offsetBytes) => device.write(data, offsetBytes),
    sync: async () => {
      await device.close();
      await file.sync(dataOffsetBytes + device.sizeBytes);
    },
    keep: () => file.keep(),
    dispose: async () => {
      await device.close().catch(() => undefined);
      await file.dispose();
    },
  };
}
