/** The embedded key management service: KeyService over keys.db and a root key file. */
import { randomUUID } from 'node:crypto';
import { addon } from '../device/index.js';
import { Fault } from '../fault.js';
import { OpenSession } from './data-key.js';
import { DeletionClock } from './deletion-clock.js';
import { KeyAudit, resourceOf } from './key-audit.js';
import { KeyBook } from './key-book.js';
import { KeyChanges } from './key-changes.js';
import { KeyDeletion } from './key-deletion.js';
import { KeyLocks } from './key-lock.js';
import * as records from './key-records.js';
import { daysLeft, nextState } from './key-state.js';
import { assertAlias, assertDescription } from './names.js';
import { openRootKey, rootKeyWarning, wrapMasterKey } from './root-key.js';
import type { Clock } from '../clock.js';
import type { Statement, Store } from '../store/store.js';
import type { ChangeTools } from './key-changes.js';
import type {
  Caller,
  DefaultKeyService,
  KeyChange,
  KeyListener,
  KeyLossOptions,
  KeyService,
  KeySession,
  MasterKey,
  NewKey,
} from './key-service.js';

/** Custom keys in any state; default keys are not counted. */
export const maxCustomKeys = 100;

export interface KeyServiceOptions {
  /** keys.db, opened with `keysDatabaseMigrations`. The caller closes it, after the service. */
  readonly store: Store;
  readonly rootKeyPath: string;
  readonly clock: Clock;
}

export interface OpenedKeyService {
  readonly service: KeyService;
  readonly rootKeyCreated: boolean;
  /** What to tell the user when the root key was created. */
  readonly rootKeyWarning: string | undefined;
}

/** Throws KEY_FILE_INVALID when the root key is missing, not private, or not the right one. */
export async function openKeyService(options: KeyServiceOptions): Promise<OpenedKeyService> {
  const { store, rootKeyPath, clock } = options;
  const rootKey = await openRootKey(store, rootKeyPath);
  const deletionClock = new DeletionClock(clock);
  const tools = {
    store,
    rootKey,
    deletionClock,
    audit: new KeyAudit(store, clock),
    book: new KeyBook(store, clock, deletionClock),
    locks: new KeyLocks(),
  };
  return {
    service: new Keys(tools, clock),
    rootKeyCreated: rootKey.created,
    rootKeyWarning: rootKey.created ? rootKeyWarning(rootKeyPath) : undefined,
  };
}

/** The lock of names: two keys never get one name, and never one more than there may be. */
const namesLock = 'names';

class Keys implements KeyService {
  readonly #tools: ChangeTools;
  readonly #clock: Clock;
  readonly #changes: KeyChanges;
  readonly #deletion: KeyDeletion;
  #listener: KeyListener | undefined;

  constructor(tools: Omit<ChangeTools, 'listener'>, clock: Clock) {
    this.#tools = { ...tools, listener: () => this.#listener };
    this.#clock = clock;
    this.#changes = new KeyChanges(this.#tools);
    this.#deletion = new KeyDeletion(this.#tools, clock);
  }

  createKey(key: NewKey, caller: Caller): Promise<MasterKey> {
    const { audit, locks } = this.#tools;
    return audit.guard(caller, 'createKey', key.alias, () => {
      assertAlias(key.alias);
      assertDescription(key.description ?? '');
      return locks.exclusive(namesLock, () => {
        this.#assertRoom();
        this.#assertFree(key.alias);
        return this.#insert(key, false, caller);
      });
    });
  }

  listKeys(): MasterKey[] {
    return this.#tools.book.list();
  }

  findKey(nameOrId: string): MasterKey {
    return this.#tools.book.find(nameOrId);
  }

  async defaultKey(service: DefaultKeyService, caller: Caller): Promise<MasterKey> {
    const { book, locks, audit } = this.#tools;
    const alias = `${service}/default`;
    return (
      book.byAlias(alias) ??
      locks.exclusive(namesLock, async () => {
        const made = book.byAlias(alias);
        if (made !== undefined) return made;
        const description = `default key of ${service}`;
        return audit.guard(caller, 'createKey', alias, () =>
          this.#insert({ alias, description }, true, caller),
        );
      })
    );
  }

  enableKey(nameOrId: string, caller: Caller): Promise<KeyChange> {
    return this.#changes.enable(nameOrId, caller);
  }

  disableKey(nameOrId: string, caller: Caller, options?: KeyLossOptions): Promise<KeyChange> {
    return this.#changes.disable(nameOrId, caller, options);
  }

  scheduleDeletion(
    nameOrId: string,
    days: number,
    caller: Caller,
    confirm?: (key: MasterKey) => void,
    options?: KeyLossOptions,
  ): Promise<KeyChange> {
    return this.#changes.scheduleDeletion(nameOrId, days, caller, confirm, options);
  }

  cancelDeletion(nameOrId: string, caller: Caller): Promise<KeyChange> {
    return this.#changes.cancelDeletion(nameOrId, caller);
  }

  renameKey(nameOrId: string, alias: string, caller: Caller): Promise<MasterKey> {
    return this.#update(nameOrId, 'updateKeyAlias', caller, `to ${alias}`, (key) => {
      assertAlias(alias);
      if (alias !== key.alias) this.#assertFree(alias);
      return records.setAlias(key.id, alias);
    });
  }

  describeKey(nameOrId: string, description: string, caller: Caller): Promise<MasterKey> {
    return this.#update(nameOrId, 'updateKeyDescription', caller, '', (key) => {
      assertDescription(description);
      return records.setDescription(key.id, description);
    });
  }

  assertUsable(keyId: string): void {
    this.#tools.book.usable(keyId);
  }

  async withKey<Result>(
    keyId: string,
    caller: Caller,
    work: (session: KeySession) => Promise<Result>,
  ): Promise<Result> {
    const { audit, book, locks } = this.#tools;
    return locks.shared(keyId, async () => {
      const resource = book.resource(keyId);
      const key = await audit.guard(caller, 'useKey', resource, () => book.usable(keyId));
      const session = new OpenSession(this.#tools, key, caller);
      try {
        return await work(session);
      } finally {
        session.end();
      }
    });
  }

  setListener(listener: KeyListener): void {
    this.#listener = listener;
  }

  tick(): Promise<void> {
    return this.#deletion.tick();
  }

  async close(): Promise<void> {
    try {
      await this.#deletion.count();
    } finally {
      this.#tools.rootKey.secret.release();
    }
  }

  async #update(
    nameOrId: string,
    action: 'updateKeyAlias' | 'updateKeyDescription',
    caller: Caller,
    detail: string,
    statementFor: (key: MasterKey) => Statement,
  ): Promise<MasterKey> {
    const { audit, book, locks, store } = this.#tools;
    return audit.guard(caller, action, book.resource(nameOrId), () => {
      const { id } = book.find(nameOrId);
      // The key's lock first: work that holds it may go on to make a key.
      return locks.shared(id, () =>
        locks.exclusive(namesLock, async () => {
          const key = book.find(id);
          nextState('update', key);
          const record = audit.allowed(caller, action, resourceOf(key), detail);
          await store.commit([statementFor(key), record]);
          return book.find(id);
        }),
      );
    });
  }

  async #insert(key: NewKey, isDefault: boolean, caller: Caller): Promise<MasterKey> {
    const { audit, book, store } = this.#tools;
    const { alias, description = '', origin = 'kms' } = key;
    const id = randomUUID();
    const createdAtMs = this.#clock.nowMs();
    const state = origin === 'kms' ? 'enabled' : 'pending-import';
    const row = { id, alias, description, origin, state, createdAtMs } as const;
    const material = origin === 'kms' ? [this.#firstVersion(id, createdAtMs)] : [];
    await store.commit([
      records.insertKey({ ...row, isDefault: isDefault ? 1 : 0 }),
      ...material,
      audit.allowed(caller, 'createKey', resourceOf({ id, alias })),
    ]);
    return book.find(id);
  }

  #firstVersion(keyId: string, createdAtMs: number): Statement {
    const version = 1;
    const masterKey = addon.randomSecret(32);
    try {
      const wrapped = wrapMasterKey(this.#tools.rootKey, masterKey, keyId, version);
      return records.insertVersion(keyId, version, wrapped, createdAtMs);
    } finally {
      masterKey.release();
    }
  }

  #assertRoom(): void {
    const custom = this.listKeys().filter(({ isDefault }) => !isDefault).length;
    if (custom < maxCustomKeys) return;
    throw new Fault('LIMIT_REACHED', `there are ${custom} keys already, no more are allowed`, {
      hint: 'delete keys that nothing uses any more',
    });
  }

  #assertFree(alias: string): void {
    const taken = this.#tools.book.byAlias(alias);
    if (taken === undefined) return;
    if (taken.state !== 'pending-deletion') {
      throw new Fault('KEY_EXISTS', `there is a key ${alias} already`);
    }
    const day = new Date(taken.deletionAtMs ?? 0).toISOString().slice(0, 10);
    throw new Fault(
      'KEY_EXISTS',
      `there is a key ${alias} already, pending deletion on ${day} (${daysLeft(taken)} left)`,
      { hint: `take another name, or: keyvol key cancel-deletion ${alias}` },
    );
  }
}
