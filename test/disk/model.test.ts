/**
 * Whatever happens to a stack — unaligned writes, discards, snapshots, rollbacks, clones,
 * deletions, detaching — each disk reads as a plain array of bytes would. This is the test that
 * finds what nobody thought of. KEYVOL_MODEL_SEED repeats a failure, KEYVOL_MODEL_OPS its length.
 */
import { rmSync } from 'node:fs';
import t from 'tap';
import { addon, type Device, type DeviceLayer } from '../../dist/device/index.js';
import { MIB, newLayer, pushLayer, readAt } from '../support/layers.js';
import { type ModelBackend, runModel } from '../support/model.js';
import { tempDirectory } from '../support/temp.js';

/** Disks as bare native stacks. A layer file goes when nothing needs it any more. */
class StackBackend implements ModelBackend {
  readonly #devices = new Map<string, Device>();
  readonly #layers = new Map<string, readonly DeviceLayer[]>();

  constructor(private readonly directory: string) {}

  create(disk: string, sizeBytes: number): Promise<void> {
    return this.#open(disk, [newLayer(this.directory, sizeBytes)]);
  }

  read(disk: string, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    return readAt(this.#device(disk), offsetBytes, lengthBytes);
  }

  write(disk: string, offsetBytes: number, data: Buffer): Promise<void> {
    return this.#device(disk).write(data, offsetBytes);
  }

  flush(disk: string): Promise<void> {
    return this.#device(disk).flush();
  }

  discard(disk: string, offsetBytes: number, lengthBytes: number): Promise<void> {
    return this.#device(disk).discard(offsetBytes, lengthBytes);
  }

  zero(disk: string, offsetBytes: number, lengthBytes: number): Promise<void> {
    return this.#device(disk).writeZeroes(offsetBytes, lengthBytes);
  }

  async reattach(disk: string): Promise<void> {
    await this.#device(disk).close();
    await this.#open(disk, this.#layersOf(disk));
  }

  async snapshot(disk: string, snapshot: string): Promise<void> {
    const below = this.#layersOf(disk);
    const top = await pushLayer(this.#device(disk), this.directory);
    this.#layers.set(snapshot, below);
    this.#layers.set(disk, [top, ...below]);
  }

  async rollback(disk: string, snapshot: string): Promise<void> {
    await this.#device(disk).close();
    await this.clone(snapshot, disk);
    this.#collect();
  }

  clone(snapshot: string, disk: string): Promise<void> {
    const below = this.#layersOf(snapshot);
    const sizeBytes = below[0]?.sizeBytes ?? 0;
    return this.#open(disk, [newLayer(this.directory, sizeBytes), ...below]);
  }

  async deleteDisk(disk: string): Promise<void> {
    await this.#device(disk).close();
    this.#devices.delete(disk);
    await this.deleteSnapshot(disk);
  }

  deleteSnapshot(snapshot: string): Promise<void> {
    this.#layers.delete(snapshot);
    this.#collect();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    for (const device of this.#devices.values()) await device.close();
  }

  async #open(disk: string, layers: readonly DeviceLayer[]): Promise<void> {
    this.#devices.set(disk, await addon.openDevice({ layers, writable: true }));
    this.#layers.set(disk, layers);
    for (const { path } of layers) this.#files.add(path);
  }

  readonly #files = new Set<string>();

  #collect(): void {
    const needed = new Set([...this.#layers.values()].flat().map(({ path }) => path));
    for (const path of this.#files) {
      if (needed.has(path)) continue;
      rmSync(path);
      this.#files.delete(path);
    }
  }

  #device(disk: string): Device {
    const device = this.#devices.get(disk);
    if (device === undefined) throw new Error(`no device ${disk}`);
    return device;
  }

  #layersOf(name: string): readonly DeviceLayer[] {
    const layers = this.#layers.get(name);
    if (layers === undefined) throw new Error(`no layers of ${name}`);
    return layers;
  }
}

t.test('random operations on deep stacks read as the model says', async (t) => {
  const seed = Number(process.env.KEYVOL_MODEL_SEED ?? Date.now() % 2 ** 32);
  const operations = Number(process.env.KEYVOL_MODEL_OPS ?? 20_000);
  t.comment(`KEYVOL_MODEL_SEED=${seed} KEYVOL_MODEL_OPS=${operations}`);
  const backend = new StackBackend(tempDirectory(t));
  const result = await runModel(backend, {
    seed,
    operations,
    diskBytes: 3 * MIB + 20 * 1024,
    maxDisks: 4,
    maxDepth: 40,
    startDepth: 18,
  });
  await backend.close();
  t.comment(JSON.stringify(result));
  t.ok(result.deepest >= 16, 'a stack was at least 16 layers deep');
});
