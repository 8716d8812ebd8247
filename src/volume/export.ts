/** The content of a disk as a file of its own, which no master key rules any more. */
import type { Device } from '../device/index.js';
import { fullName } from '../disk/lineage.js';
import type { DiskRecord } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import { assertNotAttached, assertNotLost } from './attachments.js';
import { recordAudit } from './audited.js';
import type { DiskContext } from './context.js';
import { copyDisk, deviceSource } from './copy.js';
import { newTarget, type ExportTarget } from './export-target.js';
import { Operation } from './operation.js';
import type { DiskExport, ExportedDisk, LongCall } from './volumes.js';

/**
 * Writes what `disk` reads as to a new file, all or nothing. The caller holds its lock. Throws
 * CONFIRMATION_REQUIRED unless plaintext is asked for, WRONG_STATE for a volume in use.
 */
export async function exportDisk(
  context: DiskContext,
  disk: DiskRecord,
  target: DiskExport,
  caller: Caller,
  call: LongCall,
): Promise<ExportedDisk> {
  const name = `${disk.kind} ${fullName(context.records, disk)}`;
  if (target.format === 'raw' && !target.plaintext) throw notAskedFor(name);
  assertNotLost(disk);
  if (disk.kind === 'volume') assertNotAttached(context, disk, 'export');
  context.keys.assertUsable(disk.keyId);
  const output = await newTarget(context, disk.sizeBytes, target);
  const operation = new Operation(context, disk.keyId, `export of ${name}`);
  try {
    const action = disk.kind === 'image' ? 'exportImage' : 'exportVolume';
    const detail = `${target.format === 'raw' ? 'plaintext' : 'luks2'} to ${target.file}`;
    await recordAudit(context, caller, action, `${name} (${disk.id})`, 'allowed', detail);
    const device = await operation.openDisk(disk, caller);
    const dataBytes = await copyOut(device, output, operation, call);
    return { file: target.file, sizeBytes: device.sizeBytes, dataBytes };
  } catch (error) {
    throw operation.explain(error);
  } finally {
    await output.dispose();
    await operation.close();
  }
}

function notAskedFor(name: string): Fault {
  return new Fault('CONFIRMATION_REQUIRED', `a raw file of ${name} would not be encrypted`, {
    hint: 'give --plaintext if that is what you want, or --format luks2 for a passphrase',
  });
}

async function copyOut(
  device: Device,
  output: ExportTarget,
  operation: Operation,
  call: LongCall,
): Promise<number> {
  const assertGoing = (): void => operation.assertGoesOn(call);
  const order = { wanted: output.wanted, call, assertGoing };
  const write: ExportTarget['write'] = (data, offsetBytes) => output.write(data, offsetBytes);
  const dataBytes = await copyDisk(deviceSource(device), write, order);
  await output.sync();
  // That may have taken long.
  assertGoing();
  await output.keep();
  return dataBytes;
}
