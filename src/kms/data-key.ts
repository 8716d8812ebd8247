/** Data keys: made, wrapped and unwrapped under a master key that is in the clear only meanwhile. */
import { addon } from '../device/index.js';
import { Fault } from '../fault.js';
import { resourceOf } from './key-audit.js';
import * as records from './key-records.js';
import { unwrapMasterKey } from './root-key.js';
import type { Secret, WrapContext, WrapLabel } from '../device/index.js';
import type { Store } from '../store/store.js';
import type { KeyAudit } from './key-audit.js';
import type { KeyVersionRow } from './key-records.js';
import type { Caller, CreatedDataKey, KeySession, MasterKey } from './key-service.js';
import type { RootKey } from './root-key.js';

/** Random 96-bit nonces under one key, NIST SP 800-38D §8.3. */
export const maxWrapsPerVersion = 2 ** 32;

export interface DataKeyTools {
  readonly store: Store;
  readonly rootKey: RootKey;
  readonly audit: KeyAudit;
}

/** A session that works until `end` is called; its owner holds the key's lock all the while. */
export class OpenSession implements KeySession {
  readonly key: MasterKey;
  readonly #tools: DataKeyTools;
  readonly #caller: Caller;
  #ended = false;

  constructor(tools: DataKeyTools, key: MasterKey, caller: Caller) {
    this.key = key;
    this.#tools = tools;
    this.#caller = caller;
  }

  end(): void {
    this.#ended = true;
  }

  createDataKey(context: WrapContext): Promise<CreatedDataKey> {
    return this.#guard('createDataKey', () => this.#create(context));
  }

  unwrapDataKey(wrapped: Buffer, context: WrapContext): Promise<Secret> {
    return this.#guard('decryptDatakey', () => this.#unwrap(wrapped, context));
  }

  async #guard<Result>(
    action: 'createDataKey' | 'decryptDatakey',
    work: () => Promise<Result>,
  ): Promise<Result> {
    return this.#tools.audit.guard(this.#caller, action, resourceOf(this.key), async () => {
      if (this.#ended) throw new Fault('INTERNAL', `the use of key ${this.key.alias} has ended`);
      return work();
    });
  }

  async #create(context: WrapContext): Promise<CreatedDataKey> {
    const { layer, generation } = layerOf(context);
    const version = this.#version(this.key.version);
    this.#assertWrapsLeft(version);
    const dataKey = addon.generateDataKey();
    try {
      const wrapped = this.#withMasterKey(version, (masterKey) =>
        addon.wrapKey(masterKey, dataKey, this.#label(version.version), context),
      );
      await this.#commitCreation(version.version, layer, generation);
      return { dataKey, wrapped };
    } catch (error) {
      dataKey.release();
      throw error;
    }
  }

  async #commitCreation(version: number, layer: string, generation: number): Promise<void> {
    const { store, audit } = this.#tools;
    try {
      await store.commit([
        records.countWrap(this.key.id, version),
        records.recordGeneration(layer, this.key.id, generation),
        audit.allowed(this.#caller, 'createDataKey', resourceOf(this.key), `layer ${layer}`),
      ]);
    } catch (error) {
      // The table refuses one wrap too many, when several were made at the same time.
      this.#assertWrapsLeft(this.#version(version));
      throw error;
    }
  }

  async #unwrap(wrapped: Buffer, context: WrapContext): Promise<Secret> {
    const { store, audit } = this.#tools;
    const { layer, generation } = layerOf(context);
    const version = this.#version(this.#versionOf(wrapped));
    const dataKey = this.#withMasterKey(version, (masterKey) =>
      addon.unwrapKey(masterKey, wrapped, 'data-key', context),
    );
    try {
      assertCurrent(layer, generation, records.recordedGeneration(store, layer));
      await store.commit([
        records.recordGeneration(layer, this.key.id, generation),
        audit.allowed(this.#caller, 'decryptDatakey', resourceOf(this.key), `layer ${layer}`),
      ]);
      return dataKey;
    } catch (error) {
      dataKey.release();
      throw error;
    }
  }

  /** No master key outlives the one use it was unwrapped for. */
  #withMasterKey<Result>(version: KeyVersionRow, work: (masterKey: Secret) => Result): Result {
    const { rootKey } = this.#tools;
    const masterKey = unwrapMasterKey(rootKey, version.wrapped, this.key.id, version.version);
    try {
      return work(masterKey);
    } finally {
      masterKey.release();
    }
  }

  #versionOf(wrapped: Buffer): number {
    const label = addon.readWrapLabel(wrapped);
    if (label.keyId === this.key.id && label.purpose === 'data-key') return label.keyVersion;
    throw new Fault('INTEGRITY_FAILED', `the data key was not wrapped by key ${this.key.alias}`);
  }

  #version(version: number): KeyVersionRow {
    const row = records.keyVersion(this.#tools.store, this.key.id, version);
    if (row !== undefined) return row;
    throw new Fault('INTEGRITY_FAILED', `key ${this.key.alias} has no version ${version}`);
  }

  #label(keyVersion: number): WrapLabel {
    return { keyId: this.key.id, keyVersion, purpose: 'data-key' };
  }

  #assertWrapsLeft({ version, wrapCount }: KeyVersionRow): void {
    if (wrapCount < maxWrapsPerVersion) return;
    throw new Fault(
      'LIMIT_REACHED',
      `version ${version} of key ${this.key.alias} has wrapped ${wrapCount} data keys, no more are safe`,
      { hint: `keyvol key rotate ${this.key.alias}` },
    );
  }
}

/** Throws INVALID_ARGUMENT unless the context names its layer and generation. */
function layerOf(context: WrapContext): { layer: string; generation: number } {
  const { layer = '', generation: text = '' } = context;
  const generation = /^\d{1,15}$/.test(text) ? Number(text) : -1;
  if (layer !== '' && generation >= 0) return { layer, generation };
  throw new Fault('INVALID_ARGUMENT', 'a data key needs a layer and a generation as context');
}

function assertCurrent(layer: string, generation: number, recorded: number | undefined): void {
  if (recorded === undefined || generation >= recorded) return;
  throw new Fault(
    'HEADER_OUTDATED',
    `the header of layer ${layer} is generation ${generation}, generation ${recorded} was written since`,
    { hint: 'an old copy of the container was put back: restore the newest one' },
  );
}
