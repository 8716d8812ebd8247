/** The verbs on volumes. */
import { assertDiskName } from '../disk/names.js';
import type { DiskRecord, OnKeyLoss } from '../disk/records.js';
import { setName, setPolicy } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import {
  assertCanBeCut,
  assertNotAttached,
  attach,
  detach,
  mount,
  unmount,
} from './attachments.js';
import type { AuditAction } from '../audit/audit.js';
import { audited, auditedRefusals, recordLate } from './audited.js';
import { lineageLock, nameLock, withDisk, type DiskContext } from './context.js';
import { detailsOf, detailsOfAll } from './details.js';
import { auditedCheck } from './check.js';
import type { CheckReport, DiskCheck } from './check-report.js';
import { exportDisk } from './export.js';
import { exportKey } from './export-key.js';
import { cloneVolume, createVolume } from './new-volumes.js';
import { removeDisk } from './removal.js';
import { growFilesystemOf, resize } from './resize.js';
import type {
  CreatedDisk,
  DeletedDisk,
  DiskDetails,
  DiskExport,
  ExportedDisk,
  FileSettings,
  LongCall,
  MountRequest,
  NewVolume,
  Resize,
  Volumes,
} from './volumes.js';

export class VolumeService implements Volumes {
  readonly #context: DiskContext;

  constructor(context: DiskContext) {
    this.#context = context;
  }

  create(volume: NewVolume, caller: Caller, call: LongCall = {}): Promise<CreatedDisk> {
    const context = this.#context;
    return audited(context, caller, 'createVolume', `volume ${volume.name}`, async () => {
      const { id, remarks } = await createVolume(context, volume, caller, call);
      return { disk: await this.show(id), remarks };
    });
  }

  clone(volume: string, name: string, caller: Caller): Promise<DiskDetails> {
    const context = this.#context;
    return audited(context, caller, 'createVolume', `volume ${name}`, async () =>
      this.show(await cloneVolume(context, volume, name, caller)),
    );
  }

  async list(): Promise<DiskDetails[]> {
    return detailsOfAll(this.#context, () => this.#context.records.disksOfKind('volume'));
  }

  async show(volume: string): Promise<DiskDetails> {
    return detailsOf(this.#context, () => this.#context.records.find('volume', volume));
  }

  rename(volume: string, name: string, caller: Caller): Promise<DiskDetails> {
    return renameDisk(this.#context, 'volume', volume, name, caller);
  }

  setOnKeyLoss(volume: string, policy: OnKeyLoss, caller: Caller): Promise<DiskDetails> {
    const work = async (disk: DiskRecord): Promise<void> => {
      const live = this.#context.live.get(disk.id);
      if (live !== undefined) assertCanBeCut(disk, policy, live.cache);
      await this.#context.records.commit([setPolicy(disk.id, policy)]);
      await live?.setOnKeyLoss(policy);
    };
    return this.#verb('updateVolume', volume, caller, work, `on key loss: ${policy}`);
  }

  attach(volume: string, options: Partial<FileSettings>, caller: Caller): Promise<DiskDetails> {
    const { readOnly = false, cache = 'direct', transport = 'fuse' } = options;
    const settings = { readOnly, cache, transport, attachedByMount: false };
    return this.#verb('attachVolume', volume, caller, async (disk) => {
      await attach(this.#context, disk, settings, caller);
    });
  }

  detach(volume: string, options: { force?: boolean }, caller: Caller): Promise<DiskDetails> {
    return this.#verb('detachVolume', volume, caller, (disk) =>
      detach(this.#context, disk, options.force ?? false),
    );
  }

  mount(volume: string, request: MountRequest, caller: Caller): Promise<DiskDetails> {
    const work = (disk: DiskRecord): Promise<void> =>
      mount(this.#context, disk, request, request.readOnly ?? false, caller);
    return this.#verb('mountVolume', volume, caller, work, `at ${request.directory}`);
  }

  unmount(volume: string, caller: Caller): Promise<DiskDetails> {
    return this.#verb('unmountVolume', volume, caller, (disk) => unmount(this.#context, disk));
  }

  resize(volume: string, request: Resize, caller: Caller): Promise<DiskDetails> {
    const context = this.#context;
    const work = async (disk: DiskRecord): Promise<DiskDetails> => {
      await resize(context, disk, request, caller);
      const details = await this.show(disk.id);
      const done = `size: ${String(request.sizeBytes)}`;
      await recordLate(context, caller, 'updateVolume', `volume ${volume}`, 'allowed', done);
      if (request.growFilesystem === true) await growFilesystemOf(context, disk);
      return details;
    };
    return auditedRefusals(context, caller, 'updateVolume', `volume ${volume}`, () =>
      withDisk(context, 'volume', volume, work),
    );
  }

  delete(volume: string, caller: Caller): Promise<DeletedDisk> {
    const context = this.#context;
    const remove = async (disk: DiskRecord): Promise<DeletedDisk> => {
      assertNotAttached(context, disk, 'delete');
      this.#assertNoSnapshots(disk);
      return removeDisk(context, disk);
    };
    return audited(context, caller, 'deleteVolume', `volume ${volume}`, () =>
      withDisk(context, 'volume', volume, remove, [lineageLock]),
    );
  }

  export(
    volume: string,
    target: DiskExport,
    caller: Caller,
    call: LongCall = {},
  ): Promise<ExportedDisk> {
    const context = this.#context;
    const work = (disk: DiskRecord): Promise<ExportedDisk> =>
      exportDisk(context, disk, target, caller, call);
    return auditedRefusals(context, caller, 'exportVolume', `volume ${volume}`, async () => {
      if (!volume.includes('@')) return withDisk(context, 'volume', volume, work);
      const { id } = context.records.findSnapshot(volume);
      return context.locks.run([id], () => work(context.records.findSnapshot(id)));
    });
  }

  check(
    volume: string,
    request: DiskCheck,
    caller: Caller,
    call: LongCall = {},
  ): Promise<CheckReport> {
    const { records } = this.#context;
    const isSnapshot = volume.includes('@');
    const find = (): DiskRecord =>
      isSnapshot ? records.findSnapshot(volume) : records.find('volume', volume);
    const resource = `${isSnapshot ? 'snapshot' : 'volume'} ${volume}`;
    return auditedCheck(this.#context, 'checkVolume', resource, find, request, caller, call);
  }

  exportKey(
    volume: string,
    file: string,
    caller: Caller,
    call: LongCall = {},
  ): Promise<{ file: string; container: string }> {
    const context = this.#context;
    return auditedRefusals(context, caller, 'exportKey', `volume ${volume}`, () =>
      withDisk(context, 'volume', volume, (disk) => exportKey(context, disk, file, caller, call)),
    );
  }

  /** One verb on one volume, under its lock, with its audit record; answers with what it is then. */
  #verb(
    action: AuditAction,
    volume: string,
    caller: Caller,
    work: (disk: DiskRecord) => Promise<void>,
    detail = '',
  ): Promise<DiskDetails> {
    const workAndShow = async (disk: DiskRecord): Promise<DiskDetails> => {
      await work(disk);
      return this.show(disk.id);
    };
    const run = (): Promise<DiskDetails> => withDisk(this.#context, 'volume', volume, workAndShow);
    return audited(this.#context, caller, action, `volume ${volume}`, run, detail);
  }

  #assertNoSnapshots(disk: DiskRecord): void {
    const snapshots = this.#context.records.snapshotsOf(disk.id);
    if (snapshots.length === 0) return;
    const names = snapshots.map((snapshot) => `${disk.name}@${snapshot.name}`).join(', ');
    throw new Fault('WRONG_STATE', `volume ${disk.name} has snapshots: ${names}`, {
      hint: 'delete its snapshots first',
    });
  }
}

/** The new name of a volume or image, attached or not. */
export function renameDisk(
  context: DiskContext,
  kind: 'volume' | 'image',
  nameOrId: string,
  name: string,
  caller: Caller,
): Promise<DiskDetails> {
  const action = kind === 'volume' ? 'updateVolume' : 'updateImage';
  const rename = async (disk: DiskRecord): Promise<DiskDetails> => {
    if (disk.name !== name) {
      context.records.assertNameFree(kind, name);
      await context.records.commit([setName(disk.id, name)]);
      context.live.get(disk.id)?.rename(name);
    }
    return detailsOf(context, () => context.records.find(kind, disk.id));
  };
  const run = async (): Promise<DiskDetails> => {
    assertDiskName(kind, name);
    return withDisk(context, kind, nameOrId, rename, [nameLock(kind, name)]);
  };
  return audited(context, caller, action, `${kind} ${nameOrId}`, run, `renamed to ${name}`);
}
