/** A small volume with a snapshot, and what each of its disks must read as, if it can be read. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { releaseLayers } from '../../dist/disk/layers.js';
import type { Operation } from '../powercut/history.js';
import { Performer } from '../powercut/perform.js';
import { caller, openServices, type Services } from '../powercut/services.js';

const volume = 'db';
const operations: readonly Operation[] = [
  { do: 'create-key', alias: 'app' },
  { do: 'create-volume', name: volume, sectors: 4, key: 'app' },
  { do: 'attach', volume },
  { do: 'write', volume, sector: 0, sectors: 4, version: 1 },
  { do: 'create-snapshot', snapshot: `${volume}@monday` },
  { do: 'write', volume, sector: 1, sectors: 2, version: 2 },
  { do: 'flush', volume },
  { do: 'detach', volume },
];

/** Contents by the id of a disk's top layer. */
export type Contents = ReadonlyMap<string, Buffer>;

export interface SmallVolume {
  readonly stateDir: string;
  readonly contents: Contents;
}

export async function makeSmallVolume(directory: string): Promise<SmallVolume> {
  const stateDir = join(directory, 'state');
  mkdirSync(directory, { recursive: true });
  const performer = await Performer.open(stateDir, { threadless: false });
  for (const operation of operations) await performer.perform(operation);
  await performer.close();
  const services = await openServices(stateDir, { threadless: true });
  const contents = new Map<string, Buffer>();
  for (const { topLayerId } of services.records.disks()) {
    contents.set(topLayerId, await readStack(services, topLayerId));
  }
  await services.stop();
  return { stateDir, contents };
}

/** What a disk with this top reads as. Throws the refusal. */
export async function readStack(services: Services, topLayerId: string): Promise<Buffer> {
  const { keys, layers, records } = services;
  const stack = records.stack(topLayerId);
  const keyId = stack[0]?.keyId ?? '';
  const opened = await keys.withKey(keyId, caller, (key) => layers.openStack(key, stack));
  try {
    const device = await addon.openDevice({
      layers: opened.map((layer) => layer.device),
      writable: false,
    });
    try {
      const bytes = Buffer.alloc(device.sizeBytes);
      await device.read(bytes, 0);
      return bytes;
    } finally {
      await device.close();
    }
  } finally {
    releaseLayers(opened);
  }
}
