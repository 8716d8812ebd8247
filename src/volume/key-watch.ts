/** Key states to gates: everything that holds a data key is registered here under its master key. */
import { resting } from '../kms/at-rest.js';
import type { DiskContext } from './context.js';
import { setErrorOfKey } from '../disk/statements.js';
import type { OnKeyLoss } from '../disk/records.js';
import type {
  DiskChange,
  KeyListener,
  KeyLossOptions,
  KeySession,
  MasterKey,
} from '../kms/key-service.js';
import { within } from './deadline.js';
import { Haste } from './haste.js';
import { clearCaches } from './page-cache.js';

/** A holder of data keys. Registered before it asks for the unwrap, so that no state change misses it. */
export interface Gated {
  readonly keyId: string;
  readonly onKeyLoss: OnKeyLoss;
  /** For the reply when it goes on until it is detached. */
  readonly diskName: string;
  readonly kind: DiskChange['kind'];
  /** True while data keys are in use. */
  readonly isOpen: boolean;
  /**
   * Refuses I/O and wipes the data keys, within a second; undefined when there is nothing to cut.
   * Calls `atRest` when what is mounted is at rest, if anything is.
   */
  cutOff(atRest: () => void): Promise<DiskChange | undefined>;
  /** Cuts it off for good. */
  giveUp(): Promise<void>;
  /** A locked filesystem of it, whose files the kernel has cached; once cut off. */
  readonly lockedMount: { readonly loop: string | undefined } | undefined;
  /** Goes on with fresh unwraps; undefined when there is nothing to restore. */
  restore(session: KeySession): Promise<DiskChange | undefined>;
}

/** Answers in time even if something below hangs; the gate closes before that in any case. */
const answerWithinMs = 980;

export class KeyWatch implements KeyListener {
  readonly #gates = new Map<string, Set<Gated>>();
  readonly #context: Pick<DiskContext, 'records' | 'clock' | 'host'>;
  readonly #haste = new Haste();

  constructor(context: Pick<DiskContext, 'records' | 'clock' | 'host'>) {
    this.#context = context;
  }

  register(gate: Gated): void {
    const gates = this.#gates.get(gate.keyId);
    if (gates === undefined) this.#gates.set(gate.keyId, new Set([gate]));
    else gates.add(gate);
  }

  unregister(gate: Gated): void {
    const gates = this.#gates.get(gate.keyId);
    gates?.delete(gate);
    if (gates?.size === 0) this.#gates.delete(gate.keyId);
  }

  keyLost(key: MasterKey, options: KeyLossOptions, atRest: () => void): Promise<DiskChange[]> {
    return this.#haste.during(() => this.#loseAll(key, options, atRest));
  }

  /** All gates of the key at once, so that many disks take no longer than one. */
  async #loseAll(
    key: MasterKey,
    { killUsers }: KeyLossOptions,
    atRest: () => void,
  ): Promise<DiskChange[]> {
    const started = performance.now();
    const gates = this.#gatesOf(key.id);
    const losses = gates.map((gate) => resting((rested) => lose(gate, rested)));
    void Promise.all(losses.map((loss) => loss.atRest)).then(atRest);
    const changes = await Promise.all(losses.map(({ done }) => done));
    const loops = gates.map((gate) => gate.lockedMount?.loop);
    const clearing = clearCaches(this.#context.host, loops, killUsers);
    const leftMs = answerWithinMs - (performance.now() - started);
    const notes = await within(leftMs, clearing, () => new Map<string, string>());
    return changes.flatMap((change, index) => {
      if (change === undefined) return [];
      const note = notes.get(loops[index] ?? '');
      return note === undefined ? change : { ...change, detail: joined(change.detail, note) };
    });
  }

  async keyUsable(key: MasterKey, session: KeySession): Promise<DiskChange[]> {
    const gates = this.#gatesOf(key.id);
    const changes = await Promise.all(gates.map((gate) => gate.restore(session)));
    return changes.filter((change) => change !== undefined);
  }

  async keyDeleted(key: MasterKey): Promise<void> {
    await Promise.all(this.#gatesOf(key.id).map((gate) => gate.giveUp().catch(() => undefined)));
    const day = new Date(this.#context.clock.nowMs()).toISOString().slice(0, 10);
    const reason = `master key ${key.alias} was deleted on ${day}; the data cannot be recovered`;
    await this.#context.records.commit([setErrorOfKey(key.id, reason)]);
  }

  #gatesOf(keyId: string): Gated[] {
    return [...(this.#gates.get(keyId) ?? [])];
  }
}

async function lose(gate: Gated, atRest: () => void): Promise<DiskChange | undefined> {
  if (gate.onKeyLoss !== 'until-detach') return cut(gate, atRest);
  if (!gate.isOpen) return undefined;
  return { disk: gate.diskName, kind: gate.kind, outcome: 'kept-until-detach', tookMs: 0 };
}

async function cut(gate: Gated, atRest: () => void): Promise<DiskChange | undefined> {
  const started = performance.now();
  const failed = (detail: string): DiskChange => ({
    disk: gate.diskName,
    kind: gate.kind,
    outcome: 'closed-unflushed',
    tookMs: Math.round(performance.now() - started),
    detail,
  });
  const change = gate.cutOff(atRest).catch((error: unknown) => failed(String(error)));
  const late = (): DiskChange => failed('it did not answer in time');
  return within(answerWithinMs, change, late);
}

function joined(...texts: (string | undefined)[]): string {
  return texts.filter((text) => text !== undefined).join('; ');
}
