/** The disks of the model test as bare native stacks, for whatever reaches them. */
import { rmSync } from 'node:fs';
import { addon, type Device, type DeviceLayer } from '../../dist/device/index.js';
import { newLayer, pushLayer, readAt } from './layers.js';
import type { ModelBackend } from './model.js';

/** Disks as bare native stacks. A layer file goes when nothing needs it any more. */
export class StackBackend implements ModelBackend {
  readonly #devices = new Map<string, Device>();
  readonly #files = new Set<string>();
  readonly #layers = new Map<string, readonly DeviceLayer[]>();

  constructor(protected readonly directory: string) {}

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
    await this.#close(disk);
    await this.#open(disk, this.#layersOf(disk));
  }

  async snapshot(disk: string, snapshot: string): Promise<void> {
    const below = this.#layersOf(disk);
    const top = await pushLayer(this.#device(disk), this.directory);
    this.#layers.set(snapshot, below);
    this.#layers.set(disk, [top, ...below]);
  }

  async rollback(disk: string, snapshot: string): Promise<void> {
    await this.#close(disk);
    await this.clone(snapshot, disk);
    this.#collect();
  }

  clone(snapshot: string, disk: string): Promise<void> {
    const below = this.#layersOf(snapshot);
    const sizeBytes = below[0]?.sizeBytes ?? 0;
    return this.#open(disk, [newLayer(this.directory, sizeBytes), ...below]);
  }

  async deleteDisk(disk: string): Promise<void> {
    await this.#close(disk);
    this.#devices.delete(disk);
    await this.deleteSnapshot(disk);
  }

  deleteSnapshot(snapshot: string): Promise<void> {
    this.#layers.delete(snapshot);
    this.#collect();
    return Promise.resolve();
  }

  /** Called with each device that was opened, before its first use. */
  protected opened(_disk: string, _device: Device): Promise<void> {
    return Promise.resolve();
  }

  /** Called before a device is closed. */
  protected closing(_disk: string): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    for (const disk of this.#devices.keys()) await this.#close(disk);
  }

  async #open(disk: string, layers: readonly DeviceLayer[]): Promise<void> {
    const device = await addon.openDevice({ layers, writable: true });
    this.#devices.set(disk, device);
    await this.opened(disk, device);
    this.#layers.set(disk, layers);
    for (const { path } of layers) this.#files.add(path);
  }

  async #close(disk: string): Promise<void> {
    await this.closing(disk);
    await this.#device(disk).close();
  }

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
