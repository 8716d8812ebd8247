/** Every key as it stands: the records, plus what could not be recorded yet. */
import { Fault } from '../fault.js';
import { resourceOf } from './key-audit.js';
import { allKeys, deletedKey, keyByAlias, keyById } from './key-records.js';
import { nextState } from './key-state.js';
import { isUuid, nearestName } from './names.js';
import type { Clock } from '../clock.js';
import type { Store } from '../store/store.js';
import type { DeletionClock } from './deletion-clock.js';
import type { KeyRow } from './key-records.js';
import type { MasterKey } from './key-service.js';

export class KeyBook {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #deletionClock: DeletionClock;
  /** Ids of keys that are shut though their record still says "enabled". */
  readonly #shut = new Set<string>();

  constructor(store: Store, clock: Clock, deletionClock: DeletionClock) {
    this.#store = store;
    this.#clock = clock;
    this.#deletionClock = deletionClock;
  }

  list(): MasterKey[] {
    return allKeys(this.#store).map((row) => this.#keyOf(row));
  }

  byId(id: string): MasterKey | undefined {
    const row = keyById(this.#store, id);
    return row === undefined ? undefined : this.#keyOf(row);
  }

  byAlias(alias: string): MasterKey | undefined {
    const row = keyByAlias(this.#store, alias);
    return row === undefined ? undefined : this.#keyOf(row);
  }

  /** By id or alias; throws KEY_NOT_FOUND. */
  find(nameOrId: string): MasterKey {
    const id = nameOrId.toLowerCase();
    const key = isUuid(id) ? this.byId(id) : this.byAlias(nameOrId);
    if (key === undefined) throw this.#notFound(nameOrId);
    return key;
  }

  /** The key if it may be used now. Throws the table's refusal, KEY_DELETED or KEY_NOT_FOUND. */
  usable(id: string): MasterKey {
    const key = this.byId(id);
    if (key === undefined) throw this.#deleted(id) ?? this.#notFound(id);
    nextState('use', key);
    return key;
  }

  /** How audit records name what a caller meant, whether or not there is such a key. */
  resource(nameOrId: string): string {
    const id = nameOrId.toLowerCase();
    const key = this.byId(id) ?? this.byAlias(nameOrId) ?? deletedKey(this.#store, id);
    return key === undefined ? nameOrId : resourceOf(key);
  }

  /** From now on the key counts as disabled, whatever its record says. */
  shut(id: string): void {
    this.#shut.add(id);
  }

  /** The record tells the truth again. */
  unshut(id: string): void {
    this.#shut.delete(id);
  }

  isShut(id: string): boolean {
    return this.#shut.has(id);
  }

  #keyOf(row: KeyRow): MasterKey {
    const key = {
      id: row.id,
      alias: row.alias,
      description: row.description,
      keySpec: 'AES_256',
      origin: row.origin,
      state: this.#shut.has(row.id) && row.state === 'enabled' ? 'disabled' : row.state,
      isDefault: row.isDefault === 1,
      version: row.version,
      createdAtMs: row.createdAtMs,
    } as const;
    if (row.state !== 'pending-deletion') return key;
    const deletionLeftMs = this.#deletionClock.leftMs(row);
    return { ...key, deletionLeftMs, deletionAtMs: this.#clock.nowMs() + deletionLeftMs };
  }

  #deleted(id: string): Fault | undefined {
    const grave = deletedKey(this.#store, id);
    if (grave === undefined) return undefined;
    const day = new Date(grave.deletedAtMs).toISOString().slice(0, 10);
    return new Fault(
      'KEY_DELETED',
      `key ${grave.alias} (${id}) was deleted on ${day}, its data is gone for ever`,
    );
  }

  #notFound(nameOrId: string): Fault {
    const shown = nameOrId.slice(0, 80);
    const names = this.list().map(({ alias }) => alias);
    const meant = isUuid(nameOrId) ? undefined : nearestName(shown, names);
    const guess = meant === undefined ? '' : `did you mean ${meant}? `;
    return new Fault('KEY_NOT_FOUND', `there is no key ${shown}`, {
      hint: `${guess}keyvol key list shows all keys`,
    });
  }
}
