/** A long work on a disk that is not attached: it holds data keys, so it has a gate too. */
import type { Device, DeviceLayer } from '../device/index.js';
import { releaseLayers } from '../disk/layers.js';
import type { DiskRecord } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { Caller, DiskChange } from '../kms/key-service.js';
import type { DiskContext } from './context.js';
import type { Gated } from './key-watch.js';
import type { LongCall } from './volumes.js';

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

  /** Inside withKey. Top first. */
  async open(layers: readonly DeviceLayer[], writable: boolean): Promise<Device> {
    this.#device = await this.#context.addon.openDevice({ layers, writable });
    return this.#device;
  }

  /** All layers of a disk of this key, to be read. */
  async openDisk({ keyId, topLayerId }: DiskRecord, caller: Caller): Promise<Device> {
    const { keys, layers, records } = this.#context;
    return keys.withKey(keyId, caller, async (session) => {
      const opened = await layers.openStack(session, records.stack(topLayerId));
      try {
        return await this.open(
          opened.map((layer) => layer.device),
          false,
        );
      } finally {
        releaseLayers(opened);
      }
    });
  }

  /**
   * Throws INTERRUPTED when nobody waits for it any more, GATE_CLOSED when its key was lost: where
   * nothing is read or written, as in a hole, a closed gate would be met only at the end.
   */
  assertGoesOn(call: LongCall): void {
    if (call.signal?.aborted === true) throw new Fault('INTERRUPTED', 'stopped on request');
    if (this.isOpen) return;
    throw new Fault('GATE_CLOSED', `${this.diskName} was stopped: its key is not usable`);
  }

  /** A key that was lost on the way says more than the error that it led to. */
  explain(error: unknown): unknown {
    if (!(error instanceof Fault && error.code === 'GATE_CLOSED')) return error;
    try {
      this.#context.keys.assertUsable(this.keyId);
    } catch (lost) {
      return lost;
    }
    return error;
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
