/** `check`: whether a disk is what its records say, and can be read; mends a damaged header copy. */
import { isBadCopy, isDamage, type Finding } from '../disk/findings.js';
import { LayerCheck } from '../disk/layer-check.js';
import { releaseLayers } from '../disk/layers.js';
import { leftovers } from '../disk/leftovers.js';
import { fullName } from '../disk/lineage.js';
import type { DiskRecord } from '../disk/records.js';
import { Fault, mappingOf } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import type { AuditAction } from '../audit/audit.js';
import type { Device } from '../device/index.js';
import { assertNotAttached, assertNotLost } from './attachments.js';
import { auditedRefusals, recordAudit, recordLate } from './audited.js';
import { readEverything, type DataCheck } from './check-data.js';
import type { CheckedLayer, CheckReport, DiskCheck } from './check-report.js';
import type { DiskContext } from './context.js';
import { Operation } from './operation.js';
import type { LongCall } from './volumes.js';

/** Of the disk that `find` finds; every check is on record, and every repair before it is made. */
export function auditedCheck(
  context: DiskContext,
  action: AuditAction,
  resource: string,
  find: () => DiskRecord,
  request: DiskCheck,
  caller: Caller,
  call: LongCall,
): Promise<CheckReport> {
  return auditedRefusals(context, caller, action, resource, async () => {
    const report = await new Check(context, find(), request, caller, call).run();
    const damages = report.findings.filter(isDamage).length;
    const detail = report.clean ? 'clean' : `damage found: ${damages}`;
    await recordLate(context, caller, action, resource, 'allowed', detail);
    return report;
  });
}

class Check {
  readonly #context: DiskContext;
  readonly #id: string;
  readonly #request: DiskCheck;
  readonly #caller: Caller;
  readonly #call: LongCall;
  #disk: DiskRecord;
  #layers: LayerCheck[] = [];
  #findings: Finding[] = [];
  #keyUnusable: string | undefined;

  constructor(
    context: DiskContext,
    disk: DiskRecord,
    request: DiskCheck,
    caller: Caller,
    call: LongCall,
  ) {
    this.#context = context;
    this.#id = disk.id;
    this.#disk = disk;
    this.#request = request;
    this.#caller = caller;
    this.#call = call;
  }

  get #name(): string {
    return `${this.#disk.kind} ${fullName(this.#context.records, this.#disk)}`;
  }

  async run(): Promise<CheckReport> {
    const operation = new Operation(this.#context, this.#disk.keyId, `check of ${this.#name}`);
    try {
      let data: DataCheck | undefined;
      const device = await this.#context.locks.run([this.#id], async () => {
        const opened = await this.#lookAndOpen(operation);
        // Nobody may attach a volume and write to it meanwhile.
        if (opened !== undefined && this.#disk.kind === 'volume') {
          data = await this.#read(opened, operation);
        }
        return opened;
      });
      // Nothing ever changes the layers of other disks, and what is open stays so.
      if (device !== undefined) data ??= await this.#read(device, operation);
      return await this.#report(data);
    } catch (error) {
      throw operation.explain(error);
    } finally {
      await operation.close();
    }
  }

  /** Answers the device whose data are to be read, if they are and can be. */
  async #lookAndOpen(operation: Operation): Promise<Device | undefined> {
    const { records } = this.#context;
    // Again, for it may have been deleted or rolled back while we waited.
    const disk = records.disk(this.#id);
    if (disk === undefined) {
      const kind = this.#disk.kind;
      throw new Fault(`${upperKind[kind]}_NOT_FOUND`, `${kind} ${this.#disk.name} was deleted`);
    }
    this.#disk = disk;
    this.#assertAllowed();
    await this.#look();
    if (this.#request.repair === true) await this.#repair();
    if (this.#request.readData !== true) return undefined;
    if (!this.#layers.every((layer) => layer.canBeOpened)) return undefined;
    return this.#open(operation);
  }

  #assertAllowed(): void {
    const disk = this.#disk;
    if (this.#request.repair === true) assertNotAttached(this.#context, disk, 'repair');
    if (this.#request.readData !== true) return;
    assertNotLost(disk);
    if (disk.kind === 'volume' && this.#context.live.has(disk.id)) {
      const message = `${this.#name} is attached; its data are not read while they may change`;
      const snapshot = `${disk.name}@check`;
      throw new Fault('WRONG_STATE', message, {
        hint: `detach it, or: keyvol snapshot create ${snapshot}; keyvol volume check ${snapshot} --read-data`,
      });
    }
    this.#context.keys.assertUsable(disk.keyId);
  }

  async #look(): Promise<void> {
    const { records, layers, addon } = this.#context;
    const stack = records.stack(this.#disk.topLayerId);
    this.#layers = stack.map(
      (record) => new LayerCheck(addon, record, layers.path(record.id), this.#repairCommand()),
    );
    this.#lookAtRecords();
    for (const layer of this.#layers) {
      this.#assertGoesOn();
      await layer.look();
    }
    for (const layer of this.#layers) {
      this.#assertGoesOn();
      await this.#tryKey(layer);
    }
  }

  #repairCommand(): string {
    const noun = this.#disk.kind === 'image' ? 'image' : 'volume';
    const name = fullName(this.#context.records, this.#disk);
    const live = this.#context.live.get(this.#id);
    const end = live?.mount === undefined ? 'detach' : 'unmount';
    const first = live === undefined ? '' : `keyvol ${noun} ${end} ${name}; `;
    return `${first}keyvol ${noun} check ${name} --repair`;
  }

  #lookAtRecords(): void {
    const [top] = this.#layers;
    const { sizeBytes, keyId } = this.#disk;
    const cure = 'restore the records from a backup';
    if (top !== undefined && top.record.sizeBytes !== sizeBytes) {
      const message = `its record says ${sizeBytes} bytes, that of its top layer ${top.record.sizeBytes}`;
      this.#findings.push({ kind: 'record-mismatch', message, cure, layerId: top.record.id });
    }
    for (const { record } of this.#layers) {
      if (record.keyId === keyId) continue;
      const message = `its record says key ${keyId}, that of layer ${record.id} ${record.keyId}`;
      this.#findings.push({ kind: 'record-mismatch', message, cure, layerId: record.id });
    }
  }

  /** A layer at a time, for a key that is being lost waits for it. */
  async #tryKey(layer: LayerCheck): Promise<void> {
    if (this.#keyUnusable !== undefined) return;
    const { keys } = this.#context;
    try {
      // First, for a check that goes without the key is no refusal to be recorded.
      keys.assertUsable(this.#disk.keyId);
      await keys.withKey(this.#disk.keyId, this.#caller, (session) => layer.tryKey(session));
    } catch (error) {
      const isKeyState = error instanceof Fault && mappingOf(error.code).exitStatus === 4;
      if (!isKeyState || this.#request.readData === true) throw error;
      this.#keyUnusable = error.message;
    }
  }

  async #repair(): Promise<void> {
    const { keys, locks } = this.#context;
    // Of two valid copies only the key tells whether the newer one is ours.
    const needsKey = this.#layers.some(
      ({ findings, key }) =>
        key === 'not-checked' && findings.some(({ kind }) => kind === 'header-copy-outdated'),
    );
    if (needsKey) keys.assertUsable(this.#disk.keyId);
    for (const layer of this.#layers) {
      const bad = layer.findings.find(isBadCopy);
      // What else is wrong with it says that the other copy may not be the right one.
      if (bad === undefined || !layer.canBeOpened) continue;
      // Nested, which is safe: who holds a header waits for no disk. Other disks may share it.
      await locks.run([`header:${layer.record.id}`], async () => {
        const resource = `${this.#name} (${this.#id})`;
        const detail = bad.message;
        await recordAudit(this.#context, this.#caller, 'repairHeader', resource, 'allowed', detail);
        await layer.repair();
      });
    }
  }

  async #open(operation: Operation): Promise<Device> {
    const { keys, layers } = this.#context;
    return keys.withKey(this.#disk.keyId, this.#caller, async (session) => {
      const records = this.#layers.map(({ record }) => record);
      const opened = await layers.openStack(session, records);
      try {
        const devices = opened.map((layer) => layer.device);
        return await operation.open(devices, false);
      } finally {
        releaseLayers(opened);
      }
    });
  }

  async #read(device: Device, operation: Operation): Promise<DataCheck> {
    const data = await readEverything(device, this.#call, () => operation.assertGoesOn(this.#call));
    for (const { why, ...range } of data.ranges) {
      const end = range.offsetBytes + range.lengthBytes - 1;
      const layer = this.#layers.find(({ path }) => why.includes(path));
      this.#findings.push({
        kind: 'data-unreadable',
        message: `bytes ${range.offsetBytes} to ${end} cannot be read: ${why}`,
        cure: 'its storage may have failed, dmesg says more: restore them from a backup',
        ...(layer && { layerId: layer.record.id, container: layer.path }),
        range,
      });
    }
    return data;
  }

  async #report(data: DataCheck | undefined): Promise<CheckReport> {
    const { records, layers } = this.#context;
    const findings = [...this.#findings, ...this.#layers.flatMap((layer) => layer.findings)];
    const own = new Set(this.#layers.map(({ path }) => path));
    const others = await leftovers(records, layers);
    return {
      name: fullName(records, this.#disk),
      kind: this.#disk.kind,
      clean: !findings.some(isDamage),
      ...(this.#keyUnusable !== undefined && { keyUnusable: this.#keyUnusable }),
      layers: checkedLayers(this.#layers, findings),
      findings,
      ...(data && { data: { readBytes: data.readBytes, failedBytes: data.failedBytes } }),
      remarks: others.filter((text) => ![...own].some((path) => text.startsWith(path))),
    };
  }

  #assertGoesOn(): void {
    if (this.#call.signal?.aborted === true) throw new Fault('INTERRUPTED', 'stopped on request');
  }
}

const upperKind = { volume: 'VOLUME', image: 'IMAGE', snapshot: 'SNAPSHOT' } as const;

function checkedLayers(
  layers: readonly LayerCheck[],
  findings: readonly Finding[],
): CheckedLayer[] {
  let visibleBytes = Infinity;
  return layers.map(({ record, path, key }) => {
    visibleBytes = Math.min(visibleBytes, record.sizeBytes);
    return {
      id: record.id,
      container: path,
      sizeBytes: record.sizeBytes,
      visibleBytes,
      key,
      findings: findings.filter(({ layerId }) => layerId === record.id).length,
    };
  });
}
