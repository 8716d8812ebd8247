/** One attached disk: its device, its file or export, its mount, and the gate over all three. */
import type { Closing, Device } from '../device/index.js';
import { releaseLayers, type OpenLayer } from '../disk/layers.js';
import type {
  DiskKind,
  DiskRecord,
  FileCache,
  LayerRecord,
  OnKeyLoss,
  Transport,
} from '../disk/records.js';
import { Fault } from '../fault.js';
import type { DiskChange, KeySession } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import { becomesSo, succeedsWithin, within } from './deadline.js';
import { doorOf, type Door } from './door.js';
import { lockInTime, lossesOf, mustComeDown, type Ending } from './ending.js';
import type { Gated } from './key-watch.js';
import type { Mount } from './mount.js';
import type { FileSettings } from './volumes.js';

/** Of the second that cutting off may take (DESIGN §4). */
const pagesWithinMs = 400;
const gateWithinMs = 800;
const allWithinMs = 950;
/** How long the kernel may take to tell that a file was closed. */
const closeWithinMs = 300;

const mountedAfresh =
  'its filesystem had broken while it was locked, as one does that another program unfreezes, and ' +
  'was mounted afresh: programs must open their files again';

export class LiveDisk implements Gated {
  readonly id: string;
  readonly kind: DiskKind;
  readonly keyId: string;
  readonly readOnly: boolean;
  readonly cache: FileCache;
  readonly transport: Transport;
  name: string;
  onKeyLoss: OnKeyLoss;
  phase: 'attaching' | 'in-use' | 'detaching' = 'attaching';
  /** What should be mounted while the key allows it. */
  mount: Mount | undefined;
  readonly #context: DiskContext;
  readonly #door: Door;
  #device: Device | undefined;
  /** On its way to be closed: a lost key must still wait for it. */
  #closing: Device | undefined;
  /** The layers the device has open, top first. */
  #layerIds: string[] = [];
  /** The end of what a lost key started; a restore waits for it. */
  #comingDown: Promise<unknown> = Promise.resolve();
  #cut = false;

  /** Throws as doorOf. */
  constructor(context: DiskContext, disk: DiskRecord, settings: FileSettings) {
    const { readOnly, cache, transport } = settings;
    this.#context = context;
    this.#door = doorOf(context, transport);
    this.id = disk.id;
    this.kind = disk.kind;
    this.keyId = disk.keyId;
    this.name = disk.name;
    this.onKeyLoss = disk.onKeyLoss;
    this.readOnly = readOnly;
    this.cache = cache;
    this.transport = transport;
  }

  get diskName(): string {
    return this.name;
  }

  get isOpen(): boolean {
    return this.#device !== undefined && !this.#cut;
  }

  /** Absent until it is open, and while a restart waits for the key. */
  get device(): Device | undefined {
    return this.#device;
  }

  /** The path of its file, or its URI. */
  get place(): string {
    return this.#door.placeOf(this);
  }

  /** Where a filesystem is mounted that its lost key has locked: programs may read what is cached. */
  get lockedMount(): Mount | undefined {
    return this.#cut && this.mount?.isLocked === true ? this.mount : undefined;
  }

  /** Opens the stack and shows it. On failure nothing is open. */
  async open(session: KeySession): Promise<void> {
    const layers = await this.#context.layers.openStack(session, this.#recordedStack());
    try {
      this.#device = await this.#context.addon.openDevice({
        layers: layers.map((layer) => layer.device),
        writable: !this.readOnly,
      });
    } finally {
      releaseLayers(layers);
    }
    this.#layerIds = layers.map((layer) => layer.record.id);
    this.#cut = false;
    await this.#show(this.#device);
  }

  /** After a start that its key does not allow: as if it had been cut off just now. */
  async openLocked(): Promise<void> {
    const stack = this.#recordedStack();
    this.#device = await this.#context.addon.openDevice({
      layers: stack.map((layer) => this.#context.layers.withoutKey(layer)),
      writable: !this.readOnly,
      closed: this.onKeyLoss === 'suspend' ? 'suspend' : 'hold-writes',
    });
    this.#layerIds = stack.map((layer) => layer.id);
    this.#cut = true;
    await this.#show(this.#device);
  }

  /** Takes the file away and closes the device; throws IO_ERROR if the last flush failed, closed all the same. */
  async close(): Promise<void> {
    this.phase = 'detaching';
    const device = this.#device;
    this.#device = undefined;
    if (device === undefined) return;
    this.#closing = device;
    // The file's number is needed for it, and goes with the file.
    if (this.cache === 'kernel') {
      await succeedsWithin(allWithinMs, this.#door.dropMappedPages(this.id));
    }
    this.#door.remove(this.id);
    await device.close();
  }

  /** The device writes to the staged `layer` from now on, which stands over its former top. */
  swapTop(layer: OpenLayer): void {
    this.#device?.swapTop();
    this.#layerIds.unshift(layer.record.id);
  }

  /** Puts the mount up as the only writer of the file. Throws BUSY while another program writes it. */
  async putMountUp(mkfs?: string): Promise<void> {
    if (this.mount === undefined) return;
    if (!this.readOnly) await this.#becomeOnlyWriter();
    await this.mount.up(this.place, mkfs);
  }

  /** What the policy says of a key that is lost already is done at once. */
  async setOnKeyLoss(policy: OnKeyLoss): Promise<void> {
    this.onKeyLoss = policy;
    // What is closed stays so, whatever is allowed from now on.
    if (policy === 'until-detach') return;
    if (this.#cut) return this.closeFittingly();
    if (!this.isOpen) return;
    try {
      this.#context.keys.assertUsable(this.keyId);
    } catch {
      await this.cutOff();
    }
  }

  /** Once cut off: requests wait, or fail, as its policy and its filesystem want it now. */
  async closeFittingly(): Promise<void> {
    const ending = this.mount?.isLocked === true ? 'locked' : 'none';
    await this.#device?.cutOff(gateWithinMs, this.#closingAfter(ending));
  }

  /** What was mounted is down for good, and other programs may write the file again. */
  endMount(): void {
    this.mount = undefined;
    this.#door.setExclusive(this.id, false);
  }

  rename(name: string): void {
    this.name = name;
    if (this.#device !== undefined) this.#door.rename(this);
  }

  /**
   * How often programs, not counting our own loop device, have the file open. The kernel tells of a
   * close a moment after it, so a program that has just ended is given that moment.
   */
  async users(): Promise<number> {
    const count = (): number => (this.#device === undefined ? 0 : this.#door.users(this.id));
    await becomesSo(closeWithinMs, () => count() === 0);
    return count();
  }

  /** How one ends them. */
  get endUsers(): string {
    return this.#door.endUsers;
  }

  revokeHandles(which: 'own' | 'all'): void {
    if (this.#device !== undefined) this.#door.revoke(this.id, which);
  }

  async cutOff(atRest: () => void = () => undefined): Promise<DiskChange | undefined> {
    const device = this.#device ?? this.#closing;
    if (device === undefined) return undefined;
    const started = performance.now();
    const elapsedMs = (): number => Math.round(performance.now() - started);
    this.#cut = true;
    const { mount } = this;
    const [ending, pagesWritten] = await Promise.all([
      lockInTime(mount),
      this.#dropMappedPages(pagesWithinMs),
    ]);
    atRest();
    const gateMs = Math.max(200, gateWithinMs - elapsedMs());
    const { flushed } = await device.cutOff(gateMs, this.#closingAfter(ending));
    this.#comingDown = Promise.all([
      // Once more, for what was mapped while the gate was closing.
      this.#dropMappedPages(allWithinMs),
      mount === undefined || !mustComeDown(ending) ? undefined : this.#takeDown(mount),
    ]);
    await within<unknown>(allWithinMs - elapsedMs(), this.#comingDown, () => undefined);
    const lost = lossesOf({ flushed, ending, pagesWritten });
    const remarks = ending === 'busy' ? ['programs still had files of its filesystem open'] : [];
    const detail = [...lost, ...remarks].join('; ');
    return {
      disk: this.name,
      kind: this.kind,
      outcome: lost.length === 0 ? 'closed' : 'closed-unflushed',
      tookMs: elapsedMs(),
      ...(detail === '' ? {} : { detail }),
    };
  }

  async restore(session: KeySession): Promise<DiskChange | undefined> {
    const started = performance.now();
    if (this.phase === 'detaching' || this.isOpen) return undefined;
    // An attach that waits for the key opens the device itself.
    if (this.phase === 'attaching' && this.#device === undefined) return undefined;
    const change = (outcome: DiskChange['outcome'], detail?: string): DiskChange => ({
      disk: this.name,
      kind: this.kind,
      outcome,
      tookMs: Math.round(performance.now() - started),
      ...(detail === undefined ? {} : { detail }),
    });
    try {
      await this.#comingDown;
      await this.#reopen(session);
      if (this.#device?.stats().poisoned === true) {
        return change('reopen-failed', 'a flush failed before: detach it and attach it again');
      }
      return change('reopened', await this.goOn());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const isOpen = this.#device?.stats().gate === 'open';
      const cure = isOpen ? '' : 'enable the key again, or ';
      return change('reopen-failed', `${why}; ${cure}detach it and attach it again`);
    }
  }

  /** Lets what is mounted go on, or mounts what should be. What a user must know of it, if anything. */
  async goOn(): Promise<string | undefined> {
    const { mount } = this;
    const wentOn = mount === undefined || (await mount.unlock());
    if (mount !== undefined && !wentOn) await this.#takeDown(mount);
    await this.putMountUp();
    if (wentOn) return undefined;
    return mountedAfresh;
  }

  /** From now on nothing waits for the key: what does fails. */
  async refuse(): Promise<void> {
    await this.#device?.cutOff(gateWithinMs, 'refuse');
  }

  /** The key never comes back, or what is mounted could not be locked: it is taken down. */
  async giveUp(): Promise<void> {
    if (!this.#cut) await this.cutOff();
    await this.refuse();
    if (this.mount === undefined) return;
    this.#comingDown = this.#takeDown(this.mount);
    await this.#comingDown;
  }

  async #show(device: Device): Promise<void> {
    const { id, kind, name, readOnly, cache } = this;
    try {
      this.#door.show({ id, kind, name, device, readOnly, cache });
    } catch (error) {
      this.#device = undefined;
      await device.close();
      throw error;
    }
  }

  async #becomeOnlyWriter(): Promise<void> {
    if (await becomesSo(closeWithinMs, () => this.#isOnlyWriter())) return;
    throw new Fault('BUSY', `${this.kind} ${this.name} is open for writing in other programs`, {
      hint: 'a mount must be the only one that writes: close them first',
    });
  }

  #isOnlyWriter(): boolean {
    try {
      this.#door.setExclusive(this.id, true);
      return true;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'BUSY') throw error;
      return false;
    }
  }

  /** Opens the gate again, or, after a restart that the key did not allow, for the first time. */
  async #reopen(session: KeySession): Promise<void> {
    if (this.#device === undefined) {
      await this.open(session);
      this.phase = 'in-use';
      return;
    }
    const stack = this.#layerIds.map((id) => this.#context.records.layer(id));
    const layers = await this.#context.layers.openStack(session, stack);
    try {
      await this.#device.restore(layers.map((layer) => layer.device.dataKey));
      this.#cut = false;
    } finally {
      releaseLayers(layers);
    }
  }

  #recordedStack(): LayerRecord[] {
    const record = this.#context.records.disk(this.id);
    if (record === undefined)
      throw new Fault('INTERNAL', `${this.kind} ${this.name} has no record`);
    return this.#context.records.stack(record.topLayerId);
  }

  /** A locked filesystem must meet no error, or it would never write again. */
  #closingAfter(ending: Ending): Closing {
    if (mustComeDown(ending)) return 'refuse';
    if (this.onKeyLoss === 'suspend') return 'suspend';
    return ending === 'locked' ? 'hold-writes' : 'refuse';
  }

  /** Pages that programs have mapped of the file would be readable behind a closed gate. */
  async #dropMappedPages(withinMs: number): Promise<boolean> {
    if (this.phase === 'detaching') return true;
    const isDone = await succeedsWithin(withinMs, this.#door.dropMappedPages(this.id));
    // A file that went meanwhile has no pages.
    return isDone || this.#device === undefined;
  }

  /** The gate is closed, but programs hold files: they keep a filesystem that can reach nothing. */
  async #takeDown(mount: Mount): Promise<void> {
    this.revokeHandles('own');
    const wasBusy = await mount.downAtOnce().catch(() => true);
    // Its clean pages outlive the unmount while programs hold on to them.
    if (wasBusy) await this.#context.host.dropCaches().catch(() => undefined);
  }
}
