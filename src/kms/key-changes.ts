/** Changes of a key's state, and what they make its disks do. */
import { Fault } from '../fault.js';
import { resting, type Resting } from './at-rest.js';
import { OpenSession } from './data-key.js';
import { resourceOf } from './key-audit.js';
import { setState } from './key-records.js';
import { dayMs, nextState } from './key-state.js';
import type { AuditAction } from '../audit/audit.js';
import type { Statement } from '../store/store.js';
import type { DataKeyTools } from './data-key.js';
import type { DeletionClock } from './deletion-clock.js';
import type { KeyBook } from './key-book.js';
import type { KeyLocks } from './key-lock.js';
import type {
  Caller,
  DiskChange,
  KeyChange,
  KeyListener,
  KeyLossOptions,
  KeyState,
  MasterKey,
} from './key-service.js';
import type { KeyAction } from './key-state.js';

type ChangeAction = Extract<
  KeyAction,
  'enable' | 'disable' | 'schedule-deletion' | 'cancel-deletion'
>;

interface ChangeRequest {
  readonly action: ChangeAction;
  readonly audit: AuditAction;
  /** The state in which the request is a friendly no-op, if there is one. */
  readonly already?: KeyState;
  readonly days?: number;
  readonly loss?: KeyLossOptions;
  /** Throws to refuse what the table allows. */
  readonly confirm?: (key: MasterKey) => void;
}

/** What was asked and decided, under the key's exclusive lock. */
interface Decision {
  readonly before: MasterKey;
  readonly after: KeyState;
  readonly caller: Caller;
  readonly request: ChangeRequest;
}

/** What is done, before the outcome of the listener is looked at. */
interface Done {
  readonly key: MasterKey;
  readonly changed: boolean;
  readonly unrecorded?: string;
  readonly disks: PromiseSettledResult<DiskChange[]>;
}

export const deletionDays = { min: 7, max: 1096 } as const;

const noDisks: PromiseSettledResult<DiskChange[]> = { status: 'fulfilled', value: [] };

export interface ChangeTools extends DataKeyTools {
  readonly book: KeyBook;
  readonly locks: KeyLocks;
  readonly deletionClock: DeletionClock;
  readonly listener: () => KeyListener | undefined;
}

export class KeyChanges {
  readonly #tools: ChangeTools;

  constructor(tools: ChangeTools) {
    this.#tools = tools;
  }

  enable(nameOrId: string, caller: Caller): Promise<KeyChange> {
    const request = { action: 'enable', audit: 'enableKey', already: 'enabled' } as const;
    return this.#change(nameOrId, caller, request);
  }

  disable(nameOrId: string, caller: Caller, loss?: KeyLossOptions): Promise<KeyChange> {
    const request = { action: 'disable', audit: 'disableKey', already: 'disabled' } as const;
    return this.#change(nameOrId, caller, { ...request, ...(loss === undefined ? {} : { loss }) });
  }

  scheduleDeletion(
    nameOrId: string,
    days: number,
    caller: Caller,
    confirm: (key: MasterKey) => void = () => undefined,
    loss: KeyLossOptions = { killUsers: false },
  ): Promise<KeyChange> {
    const action = 'schedule-deletion';
    const request = { action, audit: 'scheduleKeyDeletion', days, confirm, loss } as const;
    return this.#change(nameOrId, caller, request);
  }

  cancelDeletion(nameOrId: string, caller: Caller): Promise<KeyChange> {
    const request = { action: 'cancel-deletion', audit: 'cancelKeyDeletion' } as const;
    return this.#change(nameOrId, caller, request);
  }

  async #change(nameOrId: string, caller: Caller, request: ChangeRequest): Promise<KeyChange> {
    const { audit, book, locks } = this.#tools;
    const startedMs = performance.now();
    const done = await audit.guard(caller, request.audit, book.resource(nameOrId), async () => {
      const { id } = book.find(nameOrId);
      return locks.exclusive(id, () => this.#decideAndApply(id, caller, request));
    });
    return this.#report(done, startedMs);
  }

  async #decideAndApply(id: string, caller: Caller, request: ChangeRequest): Promise<Done> {
    // Read again: the key may have changed, or ended, while this waited for its lock.
    const before = this.#tools.book.find(id);
    if (this.#isAlready(before, request)) return this.#noChange(before, caller, request);
    assertDays(request);
    const after = this.#nextState(before, request);
    request.confirm?.(before);
    const decision = { before, after, caller, request };
    if (isUsable(before.state) || this.#tools.book.isShut(id)) {
      return isUsable(after) ? this.#gain(decision) : this.#lose(decision);
    }
    return isUsable(after) ? this.#gain(decision) : this.#record(decision);
  }

  #isAlready(key: MasterKey, { already }: ChangeRequest): boolean {
    return already === key.state && !key.isDefault && !this.#tools.book.isShut(key.id);
  }

  /** A key that is shut but recorded as enabled may be disabled once more, to record it. */
  #nextState(before: MasterKey, { action }: ChangeRequest): KeyState {
    const retried = action === 'disable' && this.#tools.book.isShut(before.id);
    return nextState(action, retried ? { ...before, state: 'enabled' } : before);
  }

  /** Disks that could not follow when the key was enabled are told again. */
  async #noChange(key: MasterKey, caller: Caller, request: ChangeRequest): Promise<Done> {
    const { audit, store } = this.#tools;
    await store.commit([audit.allowed(caller, request.audit, resourceOf(key), 'no change')]);
    if (!isUsable(key.state)) return { key, changed: false, disks: noDisks };
    return { key, changed: false, ...(await this.#reopen(key, caller)) };
  }

  /**
   * Disks are brought to rest, and cut off while the state is being written; they stay so if it
   * cannot be: the key counts as disabled from here on.
   */
  async #lose(decision: Decision): Promise<Done> {
    const { book } = this.#tools;
    const { before, after } = decision;
    book.shut(before.id);
    const key = { ...before, state: after };
    const { done, atRest } = this.#tellLost(key, decision.request.loss);
    const [disks, recorded] = await Promise.allSettled([
      done,
      atRest.then(() => this.#commit(decision)),
    ]);
    if (recorded.status === 'rejected') {
      return { key, changed: true, disks, unrecorded: unrecordedText(decision, recorded.reason) };
    }
    book.unshut(before.id);
    const { caller } = decision;
    const unrecorded = await this.#recordDisks('cutOffDisks', key, caller, disks);
    return { key, changed: true, disks, ...unrecorded };
  }

  async #gain(decision: Decision): Promise<Done> {
    const { before, after, caller } = decision;
    await this.#commit(decision);
    this.#tools.book.unshut(before.id);
    const key = { ...before, state: after };
    return { key, changed: true, ...(await this.#reopen(key, caller)) };
  }

  async #reopen(key: MasterKey, caller: Caller): Promise<Pick<Done, 'disks' | 'unrecorded'>> {
    const session = new OpenSession(this.#tools, key, caller);
    try {
      const [disks] = await Promise.allSettled([this.#tellUsable(session)]);
      return { disks, ...(await this.#recordDisks('reopenDisks', key, caller, disks)) };
    } finally {
      session.end();
    }
  }

  /** The proof: which disks followed, in a record of its own since the state does not wait for it. */
  async #recordDisks(
    action: 'cutOffDisks' | 'reopenDisks',
    key: MasterKey,
    caller: Caller,
    disks: PromiseSettledResult<DiskChange[]>,
  ): Promise<Pick<Done, 'unrecorded'>> {
    if (disks.status === 'rejected' || disks.value.length === 0) return {};
    const { audit, store } = this.#tools;
    try {
      const record = audit.allowed(caller, action, resourceOf(key), diskChangesText(disks.value));
      await store.commit([record]);
      return {};
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return {
        unrecorded: `what became of the disks of key ${key.alias} has no record: ${why}`,
      };
    }
  }

  #tellLost(key: MasterKey, loss: KeyLossOptions = { killUsers: false }): Resting<DiskChange[]> {
    const listener = this.#tools.listener();
    return resting(async (atRest) => (await listener?.keyLost(key, loss, atRest)) ?? []);
  }

  async #tellUsable(session: OpenSession): Promise<DiskChange[]> {
    return (await this.#tools.listener()?.keyUsable(session.key, session)) ?? [];
  }

  /** From one unusable state to another: no disk is concerned. */
  async #record(decision: Decision): Promise<Done> {
    await this.#commit(decision);
    return { key: { ...decision.before, state: decision.after }, changed: true, disks: noDisks };
  }

  async #commit(decision: Decision): Promise<void> {
    const { store, deletionClock } = this.#tools;
    // Before the commit: a tick that sees the record at once must not count what was before.
    if (decision.after === 'pending-deletion') deletionClock.begin(decision.before.id);
    await store.commit(this.#statements(decision));
    if (decision.after !== 'pending-deletion') deletionClock.forget(decision.before.id);
  }

  #statements({ before, after, caller, request }: Decision): Statement[] {
    const windowMs = request.days === undefined ? undefined : request.days * dayMs;
    const detail = request.days === undefined ? '' : `in ${request.days} days`;
    return [
      setState(before.id, after, windowMs),
      this.#tools.audit.allowed(caller, request.audit, resourceOf(before), detail),
    ];
  }

  #report(done: Done, startedMs: number): KeyChange {
    const key = this.#asRecorded(done.key);
    if (done.disks.status === 'rejected') throw listenerFault(key, done.disks.reason);
    return {
      key,
      changed: done.changed,
      disks: done.disks.value,
      tookMs: Math.round(performance.now() - startedMs),
      ...(done.unrecorded === undefined ? {} : { unrecorded: done.unrecorded }),
    };
  }

  /** What was done is told even if its record cannot be read. */
  #asRecorded(key: MasterKey): MasterKey {
    try {
      return this.#tools.book.find(key.id);
    } catch {
      return key;
    }
  }
}

/** "volume db closed after 12 ms, image base closed after 3 ms". */
function diskChangesText(changes: readonly DiskChange[]): string {
  const texts = changes.map(
    ({ kind, disk, outcome, tookMs }) => `${kind} ${disk} ${outcome} after ${tookMs} ms`,
  );
  return texts.join(', ');
}

function isUsable(state: KeyState): boolean {
  return state === 'enabled';
}

function assertDays({ days }: ChangeRequest): void {
  if (days === undefined) return;
  if (Number.isInteger(days) && days >= deletionDays.min && days <= deletionDays.max) return;
  throw new Fault(
    'INVALID_PENDING_DAYS',
    `a key's deletion is scheduled ${deletionDays.min} to ${deletionDays.max} days ahead, not ${days}`,
  );
}

function unrecordedText({ before, request }: Decision, cause: unknown): string {
  const why = cause instanceof Error ? cause.message : String(cause);
  const what = request.action === 'disable' ? 'that it is disabled' : 'its scheduled deletion';
  return (
    `key ${before.alias} refuses every use, but ${what} could not be recorded (${why}): ` +
    `repeat the command, for a restart of the daemon would enable the key again`
  );
}

function listenerFault(key: MasterKey, cause: unknown): Fault {
  return new Fault('INTERNAL', `key ${key.alias} is ${key.state}, but not all disks followed`, {
    cause,
    hint: 'keyvol volume list shows what is open; restart the daemon if in doubt',
  });
}
