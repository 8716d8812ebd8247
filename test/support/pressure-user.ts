/** One volume under pressure and the program that uses it: verified I/O, and every verb of disks. */
import { join } from 'node:path';
import { Fault } from '../../dist/fault.js';
import type { TestDaemon } from './daemon.js';
import type { ModelRandom } from './model-random.js';
import type { PressureDisk } from './pressure-disk.js';
import { sleep } from './world.js';

/** Beyond it, only rollbacks. */
const deepest = 60;
const snapshotsKept = 3;

/** Volumes whose key is away refuse with these. */
const refusals = ['KEY_DISABLED', 'GATE_CLOSED'];

/** True when it was done, false when a lost key refused it. */
async function tried(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof Fault && refusals.includes(error.code)) return false;
    throw error;
  }
}

export class PressureUser {
  readonly #client: TestDaemon['client'];
  readonly #disk: PressureDisk;
  readonly #disks: string;
  readonly #random: ModelRandom;
  readonly #snapshots: { readonly name: string; readonly mark: readonly number[] }[] = [];
  #made = 0;
  #layers = 1;
  readonly done = new Map<string, number>();

  constructor(daemon: TestDaemon, disk: PressureDisk, random: ModelRandom) {
    this.#client = daemon.client;
    this.#disk = disk;
    this.#disks = join(daemon.runtimeDir, 'disks');
    this.#random = random;
  }

  async attach(): Promise<boolean> {
    const { attachment } = await this.#client.showVolume(this.#disk.name);
    return attachment !== undefined || tried(this.#client.attachVolume(this.#disk.name, {}));
  }

  async detach(): Promise<void> {
    const { attachment } = await this.#client.showVolume(this.#disk.name);
    if (attachment !== undefined) await this.#client.detachVolume(this.#disk.name, {});
  }

  async step(): Promise<void> {
    const [name, action] = this.#choose();
    if (!(await this.attach())) return sleep(20);
    if (await action()) this.done.set(name, (this.done.get(name) ?? 0) + 1);
  }

  #choose(): readonly [string, () => Promise<boolean>] {
    const weight = this.#layers < deepest ? 2 : 0;
    const [name, , action] = this.#random.weighted([
      ['snapshot', weight, () => this.#snapshot()],
      ['clone', weight, () => this.#clone()],
      ['image', weight, () => this.#image()],
      ['rollback', 2, () => this.#rollback()],
      ['reattach', 2, () => this.#reattach()],
      ['show', 3, () => this.#show()],
      ['io', 87, () => this.#disk.work(this.#pathOf('volumes', this.#disk.name), this.#random)],
    ] as const);
    return [name, action];
  }

  #pathOf(kind: 'volumes' | 'images', name: string): string {
    return join(this.#disks, kind, name);
  }

  async #show(): Promise<boolean> {
    const { layers } = await this.#client.showVolume(this.#disk.name);
    this.#layers = layers;
    return true;
  }

  async #snapshot(): Promise<boolean> {
    const name = `${this.#disk.name}@s${String(this.#made++)}`;
    const mark = this.#disk.mark();
    if (!(await tried(this.#client.createSnapshot(name)))) return false;
    this.#layers += 1;
    this.#snapshots.push({ name, mark });
    const oldest = this.#snapshots.length > snapshotsKept ? this.#snapshots.shift() : undefined;
    if (oldest !== undefined) await this.#client.deleteSnapshot(oldest.name);
    return true;
  }

  async #rollback(): Promise<boolean> {
    const snapshot = this.#snapshots.at(-1);
    if (snapshot === undefined) return false;
    await this.detach();
    if (!(await tried(this.#client.rollbackSnapshot(snapshot.name)))) return false;
    this.#disk.rolledBack(snapshot.mark);
    return true;
  }

  async #clone(): Promise<boolean> {
    const name = `${this.#disk.name}-c${String(this.#made++)}`;
    const mark = this.#disk.mark();
    if (!(await tried(this.#client.cloneVolume(this.#disk.name, name)))) return false;
    this.#layers += 1;
    await this.#checkCopy('volumes', name, mark, this.#client.attachVolume(name, {}));
    await tried(this.#client.detachVolume(name, { force: true })).catch(leaveNotAttached);
    await this.#client.deleteVolume(name);
    return true;
  }

  async #image(): Promise<boolean> {
    const name = `${this.#disk.name}-i${String(this.#made++)}`;
    const mark = this.#disk.mark();
    const image = { name, volume: this.#disk.name };
    if (!(await tried(this.#client.createImage(image)))) return false;
    this.#layers += 1;
    await this.#checkCopy('images', name, mark, this.#client.attachImage(name));
    await tried(this.#client.detachImage(name, { force: true })).catch(leaveNotAttached);
    await this.#client.deleteImage(name);
    return true;
  }

  async #checkCopy(
    kind: 'volumes' | 'images',
    name: string,
    mark: readonly number[],
    attached: Promise<unknown>,
  ): Promise<void> {
    if (!(await tried(attached))) return;
    await this.#disk.checkCopy(this.#pathOf(kind, name), mark).catch((error: unknown) => {
      // Its key was lost meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'EIO')) throw error;
    });
  }

  async #reattach(): Promise<boolean> {
    await this.detach();
    return this.attach();
  }
}

/** The key was away when it should have been attached. */
function leaveNotAttached(error: unknown): void {
  if (!(error instanceof Fault) || error.code !== 'WRONG_STATE') throw error;
}
