/** A long work on a disk that is not attached: it holds data keys, so it has a gate too. */
import type { Device, DeviceLayer } from '../device/index.js';
import type { DiskChange } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import type { Gated } from './key-watch.js';

export class Operation implements Gated {
  readonly keyId: string;
  /** "import of image debian". */
  readonly diskName: string;
  readonly kind = 'operation';
  readonly onKeyLoss = 'deny';
  readonly #context: DiskContext;
  #device: Device | undefined;

  /** Registered from the start; the caller ends it with `close`. */
  constructor(context: DiskContext, keyId: string, name: string) {
    this.#context = context;
    this.keyId = keyId;
    this.diskName = name;
    context.watch.register(this);
  }

  readonly lockedMount = undefined;

  get isOpen(): boolean {
    return this.#device?.stats().gate === 'open';
  }

  /** Inside withKey. Bottom-less: one layer, writable. */
  async open(layer: DeviceLayer): Promise<Device> {
    this.#device = await this.#context.addon.openDevice({ layers: [layer], writable: true });
    return this.#device;
  }

  /** Safe to repeat. Throws if the last flush failed. */
  async close(): Promise<void> {
    this.#context.watch.unregister(this);
    const device = this.#device;
    this.#device = undefined;
    await device?.close();
  }

  async cutOff(): Promise<DiskChange | undefined> {
    const report = await this.#device?.cutOff(800);
    if (report === undefined) return undefined;
    const outcome = report.flushed ? 'closed' : 'closed-unflushed';
    return { disk: this.diskName, kind: this.kind, outcome, tookMs: report.tookMs };
  }

  async giveUp(): Promise<void> {
    await this.cutOff();
  }

  /** It has failed already; it is started anew by who wants it. */
  async restore(): Promise<undefined> {
    return undefined;
  }
}
