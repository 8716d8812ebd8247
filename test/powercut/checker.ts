/** Opens what a power cut left, with the code of a start, and compares it with what was promised. */
import { addon, type Device, type DeviceLayer } from '../../dist/device/index.js';
import type { DiskRecord } from '../../dist/disk/records.js';
import { releaseLayers, type OpenLayer } from '../../dist/disk/layers.js';
import { join } from 'node:path';
import { compare, type FoundDisk, type FoundState } from './compare.js';
import { expectedAfter, unanswered, type Expected } from './expected.js';
import type { History } from './history.js';
import { KeyBytes } from './key-bytes.js';
import { readVersions, sectorBytes } from './sectors.js';
import { caller, openServices, type Services } from './services.js';

export interface CheckOptions {
  /** Shared by all states of a run; nothing in it may be used twice. */
  readonly keyBytes?: KeyBytes;
  /** Starts twice though the first start had nothing to tidy up. Default true. */
  readonly alwaysTwice?: boolean;
  /** Also makes, writes and reads a new volume, to see that the state can be worked with. */
  readonly useIt?: boolean;
}

/**
 * The problems of one crash state; none when it holds what `history` promises. The directory is
 * changed, as by a start. Secrets and files are closed when the promise resolves.
 */
export async function checkState(
  stateDir: string,
  history: History,
  { keyBytes = new KeyBytes(), alwaysTwice = true, useIt = false }: CheckOptions = {},
): Promise<readonly string[]> {
  const problems = keyBytes.readContainers(join(stateDir, 'layers'));
  const inspect = async (services: Services): Promise<FoundState> => {
    problems.push(...keyBytes.readKeyRecords(services.keyStore));
    const found = await findState(services, keyBytes, problems);
    if (useIt) problems.push(...(await tryOut(services)));
    return found;
  };
  try {
    const first = await opened(stateDir, async (services) => {
      const records = recordsOf(services);
      if (alwaysTwice || tidiedUp(services)) return { records };
      return { records, found: await inspect(services) };
    });
    const state =
      first.found ??
      (await opened(stateDir, (services) => {
        problems.push(...differences(first.records, recordsOf(services)));
        return inspect(services);
      }));
    problems.push(...unexpected(state, history));
  } catch (error) {
    problems.push(`does not open: ${textOf(error)}`);
  }
  return problems;
}

/** The problems of services that run, as far as they show without a stop: attached disks are read. */
export async function lookAt(services: Services, history: History): Promise<string[]> {
  const { keys, records, layers, session } = services;
  const problems: string[] = [];
  const unclaimed = records.unclaimedContainers();
  const containers = await layers.containers();
  const disks: FoundDisk[] = [];
  for (const disk of records.disks()) {
    const device = session.devices.get(disk.name);
    const found = foundDisk(services, disk, device !== undefined);
    const isOpen = device?.stats().gate === 'open';
    if (device !== undefined && keys.findKey(disk.keyId).state === 'enabled' && !isOpen) {
      problems.push(`${disk.kind} ${disk.name} is closed, though its key is enabled`);
    }
    disks.push(isOpen ? { ...found, versions: versionsIn(await readDevice(device)) } : found);
  }
  const wrong = unexpected(
    {
      ...recordsIn(services),
      disks,
      layers: records.layers().map(({ id }) => id),
      unclaimed: [],
      // What could not be removed goes with the next start.
      containers: containers.filter((id) => !unclaimed.includes(id)),
      recovery: [],
      warnings: [],
    },
    history,
  );
  return [...problems, ...wrong];
}

async function opened<Result>(
  stateDir: string,
  work: (services: Services) => Promise<Result>,
): Promise<Result> {
  const services = await openServices(stateDir, { threadless: true });
  try {
    return await work(services);
  } finally {
    await services.stop();
  }
}

/** Of what was being done, any part may have been done: the closest outcome counts. */
function unexpected(found: FoundState, history: History): string[] {
  const outcomes = subsets(unanswered(history)).flatMap((alsoDone) => {
    const expected = possible(history, alsoDone);
    return expected === undefined ? [] : [compare(found, expected)];
  });
  return outcomes.reduce((best, next) => (next.length < best.length ? next : best));
}

/** Undefined when a request without an answer cannot have been done, and would have been refused. */
function possible(history: History, alsoDone: readonly number[]): Expected | undefined {
  try {
    return expectedAfter(history, alsoDone);
  } catch (error) {
    if (alsoDone.length === 0) throw error;
    return undefined;
  }
}

function subsets(ids: readonly number[]): number[][] {
  return ids.reduce<number[][]>((all, id) => [...all, ...all.map((set) => [...set, id])], [[]]);
}

function tidiedUp({ recovery }: Services): boolean {
  return recovery.some((line) => !line.startsWith('attached '));
}

/** What a second start must find as the first one left it. */
function recordsOf({ diskStore, keyStore, recovery, warnings }: Services): Map<string, unknown> {
  const tables = ['disks', 'layers', 'attachments', 'unclaimed'];
  const rows = tables.map((table): [string, unknown] => [
    table,
    diskStore.all(`SELECT * FROM ${table} ORDER BY 1`),
  ]);
  const said = recovery.filter((line) => !line.startsWith('removed container'));
  return new Map<string, unknown>([
    ...rows,
    ['keys', keyStore.all('SELECT * FROM keys ORDER BY 1')],
    ['versions', keyStore.all('SELECT key_id, version, wrapped FROM key_versions ORDER BY 1, 2')],
    ['what the start said', said],
    ['warnings', warnings],
  ]);
}

function differences(first: Map<string, unknown>, second: Map<string, unknown>): string[] {
  return [...second].flatMap(([what, value]) =>
    JSON.stringify(value) === JSON.stringify(first.get(what))
      ? []
      : [
          `a second start changed ${what}: ${JSON.stringify(first.get(what))} → ${JSON.stringify(value)}`,
        ],
  );
}

async function findState(
  services: Services,
  keyBytes: KeyBytes,
  problems: string[],
): Promise<FoundState> {
  const { keys, records, layers, recovery, warnings } = services;
  const found = {
    ...recordsIn(services),
    layers: records.layers().map(({ id }) => id),
    unclaimed: records.unclaimedContainers(),
    containers: await layers.containers(),
    // A disk of a disabled key waits for it.
    recovery: recovery.filter((line) => !/^attached |could not restore .* is disabled/.test(line)),
    attached: records.attachments().map(({ diskId }) => diskId),
  };
  for (const key of keys.listKeys()) {
    if (key.state === 'disabled') await keys.enableKey(key.id, caller);
  }
  const opened = await openLayers(services, keyBytes, problems);
  try {
    const disks: FoundDisk[] = [];
    for (const disk of records.disks()) {
      const isAttached = found.attached.includes(disk.id);
      disks.push(await findDisk(services, disk, isAttached, opened, problems));
    }
    return { ...found, disks, warnings: [...warnings] };
  } finally {
    releaseLayers([...opened.values()]);
  }
}

function recordsIn({ keys, keyStore }: Services): Pick<FoundState, 'keys' | 'audit'> {
  const audit = keyStore.all<{ action: string; resource: string }>(
    `SELECT action, resource FROM audit WHERE result = 'allowed' ORDER BY sequence`,
  );
  return {
    keys: keys.listKeys().map(({ alias, state }) => ({ alias, state })),
    audit: audit.map(({ action, resource }) => `${action} ${resource}`),
  };
}

/** Every layer, once, for opening one takes most of the time. The caller releases the keys. */
async function openLayers(
  { records, keys, layers }: Services,
  keyBytes: KeyBytes,
  problems: string[],
): Promise<Map<string, OpenLayer>> {
  const opened = new Map<string, OpenLayer>();
  for (const record of records.layers()) {
    try {
      const layer = await keys.withKey(record.keyId, caller, (key) => layers.open(key, record));
      opened.set(record.id, layer);
      problems.push(...keyBytes.readDataKey(record.id, layer.device.dataKey));
    } catch (error) {
      problems.push(`layer ${record.id} does not open: ${textOf(error)}`);
    }
  }
  return opened;
}

function foundDisk({ records, keys }: Services, disk: DiskRecord, attached: boolean): FoundDisk {
  const volumeName = disk.volumeId === null ? '' : `${records.disk(disk.volumeId)?.name ?? '?'}@`;
  return {
    kind: disk.kind,
    name: `${volumeName}${disk.name}`,
    key: keys.findKey(disk.keyId).alias,
    attached,
    sectorCount: disk.sizeBytes / sectorBytes,
    versions: undefined,
  };
}

async function findDisk(
  services: Services,
  disk: DiskRecord,
  attached: boolean,
  opened: ReadonlyMap<string, OpenLayer>,
  problems: string[],
): Promise<FoundDisk> {
  const { records } = services;
  const found = foundDisk(services, disk, attached);
  const stack = records.stack(disk.topLayerId).map(({ id }) => opened.get(id)?.device);
  const layers = stack.filter((layer) => layer !== undefined);
  if (layers.length < stack.length) return found;
  try {
    return { ...found, versions: versionsIn(await readAll(layers)) };
  } catch (error) {
    problems.push(`${disk.kind} ${found.name} cannot be read: ${textOf(error)}`);
    return found;
  }
}

async function readAll(layers: readonly DeviceLayer[]): Promise<Buffer> {
  const device = await addon.openDevice({ layers, writable: false });
  try {
    return await readDevice(device);
  } finally {
    await device.close();
  }
}

async function readDevice(device: Device): Promise<Buffer> {
  const bytes = Buffer.alloc(device.sizeBytes);
  await device.read(bytes, 0);
  return bytes;
}

function versionsIn(bytes: Buffer): number[][] {
  const versions: number[][] = [];
  for (let at = 0; at < bytes.length; at += sectorBytes) {
    versions.push(readVersions(at / sectorBytes, bytes.subarray(at, at + sectorBytes)));
  }
  return versions;
}

async function tryOut({ disks, session }: Services): Promise<string[]> {
  const name = 'after-the-cut';
  await disks.volumes.create({ name, sizeBytes: 4 * sectorBytes }, caller);
  await disks.volumes.attach(name, {}, caller);
  const device = session.devices.get(name);
  const bytes = Buffer.alloc(4 * sectorBytes, 7);
  await device?.write(bytes, 0);
  await device?.flush();
  const read = Buffer.alloc(bytes.length);
  await device?.read(read, 0);
  await disks.volumes.detach(name, {}, caller);
  await disks.volumes.delete(name, caller);
  return read.equals(bytes) ? [] : ['a new volume does not keep what is written to it'];
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  return `${code}${error.message}`;
}
