/**
 * The services of a daemon over one directory, wired as the daemon wires them but for FUSE: what
 * would be files of the mount are devices that the run calls at once.
 */
import { appendFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../dist/clock.js';
import { addon, type Addon, type Device, type FuseSession } from '../../../dist/device/index.js';
import { listAudit } from '../../../dist/audit/audit.js';
import { DiskRecords } from '../../../dist/disk/disk-records.js';
import { LayerFiles, MadeLayers, type OpenLayer } from '../../../dist/disk/layers.js';
import { diskMigrations } from '../../../dist/disk/migrations.js';
import { insertLayer, setTopLayer } from '../../../dist/disk/statements.js';
import { openDisks, type Disks } from '../../../dist/image/disks.js';
import type { KeyChange, KeyService } from '../../../dist/kms/key-service.js';
import { openKeyService } from '../../../dist/kms/keys.js';
import { keysDatabaseMigrations } from '../../../dist/kms/migrations.js';
import { openStore } from '../../../dist/store/open.js';
import type { Store } from '../../../dist/store/store.js';
import { caller } from '../state.js';
import { keySlots } from './generate.js';
import { kindOf, sectorBytes, type DiskName, type KeyOperation } from './operations.js';
import { tokensFile, type Survey, type TreeAnswer, type TreeRequest } from './subject.js';

const clock = systemClock(() => addon.bootTimeMs());
const minor = [
  'createKey',
  'useKey',
  'createDataKey',
  'decryptDatakey',
  'cutOffDisks',
  'reopenDisks',
];

export class TreeServices {
  readonly #layers: LayerFiles;
  readonly #records: DiskRecords;
  /** Of layers that were looked at: unwrapped once, for that takes long. */
  readonly #looked = new Map<string, OpenLayer>();

  private constructor(
    readonly directory: string,
    private readonly stores: { readonly keys: Store; readonly disks: Store },
    private readonly keys: KeyService,
    private readonly disks: Disks,
    private readonly devices: ReadonlyMap<string, Device>,
  ) {
    this.#records = new DiskRecords(stores.disks);
    this.#layers = new LayerFiles({
      stateDir: directory,
      addon,
      clock,
      records: this.#records,
      warn: () => undefined,
    });
  }

  static async start(directory: string): Promise<TreeServices> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    appendFileSync(join(directory, tokensFile), '');
    const open = (name: string, migrations: readonly string[]): Promise<Store> =>
      openStore({ path: join(directory, name), migrations });
    const keyStore = await open('keys.db', keysDatabaseMigrations);
    const isNew = listAudit(keyStore, { limit: 1 }).length === 0;
    const rootKeyPath = join(directory, 'root.key');
    const { service: keys } = await openKeyService({ store: keyStore, rootKeyPath, clock });
    const store = await open('disks.db', diskMigrations);
    const devices = new Map<string, Device>();
    const disks = openDisks({
      stateDir: directory,
      runtimeDir: directory,
      store,
      keys,
      audit: keyStore,
      addon: recordingTokens(directory),
      fuse: filesAsDevices(devices),
      host: addon,
      clock,
      warn: () => undefined,
    });
    await disks.restore();
    if (isNew) await makeKeys(keys);
    return new TreeServices(directory, { keys: keyStore, disks: store }, keys, disks, devices);
  }

  async perform(request: TreeRequest): Promise<TreeAnswer> {
    try {
      return { code: 'done', ...(await this.#perform(request)) };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL';
      return { code, message: String(error) };
    }
  }

  async stop(): Promise<void> {
    for (const { device } of this.#looked.values()) device.dataKey.release();
    await this.disks.shutdown();
    await this.keys.close();
    await this.stores.disks.close();
    await this.stores.keys.close();
  }

  async #perform(request: TreeRequest): Promise<Omit<TreeAnswer, 'code'> | undefined> {
    switch (request.do) {
      case 'read':
      case 'write':
      case 'discard':
      case 'zero':
      case 'flush':
      case 'seek':
        return this.#io(request);
      case 'key':
        return { changes: (await this.#changeKey(request)).disks };
      case 'look':
        return { bytes: await this.#look(request.disk) };
      case 'survey':
        return { survey: await this.#survey(request.afterAudit) };
      case 'arm':
        addon.injectBlockFault(request.fault.operation, request.fault);
        return undefined;
      case 'disarm':
        addon.clearBlockFaults();
        return undefined;
      default:
        await this.#verb(request);
        return undefined;
    }
  }

  async #io(
    request: Extract<TreeRequest, { do: 'read' | 'write' | 'discard' | 'zero' | 'flush' | 'seek' }>,
  ): Promise<Omit<TreeAnswer, 'code'> | undefined> {
    const device = this.devices.get(this.#find(request.disk).id);
    // After a start that the key did not allow there is no device yet.
    if (device === undefined) throw Object.assign(new Error('no device'), { code: 'GATE_CLOSED' });
    switch (request.do) {
      case 'read': {
        const bytes = Buffer.alloc(request.length, 0xa5);
        await device.read(bytes, request.offset);
        return { bytes };
      }
      case 'write':
        await device.write(Buffer.from(request.data), request.offset);
        return undefined;
      case 'discard':
        await device.discard(request.offset, request.length);
        return undefined;
      case 'zero':
        await device.writeZeroes(request.offset, request.length);
        return undefined;
      case 'flush':
        await device.flush();
        return undefined;
      case 'seek': {
        const data = await device.seekData(request.offset);
        return { seek: { data, hole: await device.seekHole(request.offset) } };
      }
    }
  }

  async #verb(
    request: Exclude<TreeRequest, { do: 'arm' | 'disarm' | 'survey' }>,
  ): Promise<unknown> {
    const { volumes, images, snapshots } = this.disks;
    switch (request.do) {
      case 'create':
        return volumes.create(
          {
            name: request.disk,
            sizeBytes: request.sectors * sectorBytes,
            key: keyName(request.key),
            onKeyLoss: request.untilDetach ? 'until-detach' : 'deny',
          },
          caller,
        );
      case 'fresh': {
        const { disk: name, sizeBytes, source } = request;
        return volumes.create({ name, sizeBytes, [kindOf(source)]: source }, caller);
      }
      case 'import': {
        const file = join(this.directory, 'import.raw');
        writeFileSync(file, request.data);
        return images.create({ name: request.disk, file, key: keyName(request.key) }, caller);
      }
      case 'image': {
        const { disk: name, source } = request;
        return images.create({ name, [kindOf(source)]: source }, caller);
      }
      case 'clone':
        return volumes.clone(request.source, request.disk, caller);
      case 'snapshot':
        return snapshots.create(request.disk, caller);
      case 'rollback':
        return snapshots.rollback(request.disk, caller);
      case 'resize':
        return this.#resize(request.disk, request.sectors * sectorBytes);
      case 'delete':
        if (kindOf(request.disk) === 'snapshot') return snapshots.delete(request.disk, caller);
        return (kindOf(request.disk) === 'image' ? images : volumes).delete(request.disk, caller);
      case 'attach':
        if (kindOf(request.disk) === 'image') return images.attach(request.disk, {}, caller);
        return volumes.attach(request.disk, { readOnly: request.readOnly }, caller);
      case 'detach':
        return (kindOf(request.disk) === 'image' ? images : volumes).detach(
          request.disk,
          {},
          caller,
        );
      default:
        throw new Error(`${request.do} is no verb`);
    }
  }

  /** As the verb where the top holds something; an empty one it would replace. */
  async #resize(disk: DiskName, sizeBytes: number): Promise<void> {
    const volume = this.#find(disk);
    await this.keys.withKey(volume.keyId, caller, async (session) => {
      const made = new MadeLayers(this.#layers);
      try {
        const { topLayerId: parentId } = volume;
        const top = await made.create(session, { parentId, sizeBytes, preallocated: false });
        await this.#records.commit([insertLayer(top.record), setTopLayer(volume.id, top.record)]);
        made.keep();
      } finally {
        await made.dispose();
      }
    });
  }

  async #changeKey({ key, action }: KeyOperation): Promise<KeyChange> {
    const name = keyName(key);
    if (action === 'disable') return this.keys.disableKey(name, caller);
    if (action === 'enable') return this.keys.enableKey(name, caller);
    if (action === 'schedule') return this.keys.scheduleDeletion(name, 7, caller);
    return this.keys.cancelDeletion(name, caller);
  }

  async #look(disk: DiskName): Promise<Buffer> {
    const record = this.#find(disk);
    const stack = this.#records.stack(record.topLayerId);
    const fresh = stack.filter((layer) => !this.#looked.has(layer.id));
    await this.keys.withKey(record.keyId, caller, async (session) => {
      for (const layer of await this.#layers.openStack(session, fresh)) {
        this.#looked.set(layer.record.id, layer);
      }
    });
    const layers = stack.flatMap((layer) => this.#looked.get(layer.id)?.device ?? []);
    const device = await addon.openDevice({ layers, writable: false });
    try {
      const bytes = Buffer.alloc(device.sizeBytes, 0xa5);
      await device.read(bytes, 0);
      return bytes;
    } finally {
      await device.close();
    }
  }

  async #survey(afterAudit: number): Promise<Survey> {
    const records = this.#records.disks();
    const nameOf = new Map(records.map((disk) => [disk.id, disk.name]));
    const disks = records.map((disk) => {
      const volume = disk.volumeId === null ? '' : `${nameOf.get(disk.volumeId) ?? '?'}@`;
      return { ...disk, ref: `${volume}${disk.name}` };
    });
    const attachments = this.#records
      .attachments()
      .map((record) => ({ ...record, ref: nameOf.get(record.diskId) ?? record.diskId }));
    const entries = listAudit(this.stores.keys, { sinceSequence: afterAudit, limit: 1e6 });
    return {
      files: readdirSync(this.#layers.directory).map((name) => name.replace(/\.luks$/, '')),
      layers: this.#records.layers(),
      disks,
      attachments,
      devices: attachments.map(({ ref, diskId }) => {
        const stats = this.devices.get(diskId)?.stats();
        return { ref, gate: stats?.gate ?? 'closed', poisoned: stats?.poisoned ?? false };
      }),
      unclaimed: this.#records.unclaimedContainers().length,
      lastAudit: entries.at(-1)?.sequence ?? afterAudit,
      audit: entries
        .filter(({ action }) => !minor.includes(action))
        .map(({ resource, action, result, detail }) => {
          const what = resource.replace(/ \(.*\)$/, '');
          return `${what}: ${action} ${result === 'refused' ? detail : 'done'}`;
        }),
    };
  }

  #find(ref: DiskName) {
    const kind = kindOf(ref);
    return kind === 'snapshot' ? this.#records.findSnapshot(ref) : this.#records.find(kind, ref);
  }
}

export const keyName = (key: number): string => `k${key}`;

async function makeKeys(keys: KeyService): Promise<void> {
  for (let key = 0; key < keySlots; key++) await keys.createKey({ alias: keyName(key) }, caller);
}

/** The addon, but that every token is written down before its container is made. */
function recordingTokens(directory: string): Addon {
  const path = join(directory, tokensFile);
  return Object.assign(Object.create(addon) as Addon, {
    createContainer: async (...made: Parameters<Addon['createContainer']>): Promise<void> => {
      appendFileSync(path, `${made[0].token}\n`);
      return addon.createContainer(...made);
    },
  });
}

/** The part of a FUSE session that attaching needs. */
function filesAsDevices(devices: Map<string, Device>): FuseSession {
  return {
    // Of another device than any file that is imported.
    mountPoint: '/proc',
    kept: false,
    isHeld: false,
    keep: () => [],
    serve: () => undefined,
    settle: async () => undefined,
    frozen: async () => [],
    entrust: async () => undefined,
    park: async () => undefined,
    add: ({ id, device }) => devices.set(id, device),
    rename: () => undefined,
    remove: (id) => devices.delete(id),
    openHandles: () => ({ own: 0, others: 0 }),
    setExclusive: () => undefined,
    revokeHandles: () => undefined,
    dropMappedPages: async () => undefined,
    dropInheritedPages: async () => undefined,
    unmount: async () => undefined,
  };
}
