/** What the rest of keyvol sees of the key management service. Master keys never leave it. */
import type { Secret, WrapContext } from '../device/index.js';

export type KeyState = 'pending-import' | 'enabled' | 'disabled' | 'pending-deletion';
export type KeyOrigin = 'kms' | 'external';
export type DefaultKeyService = 'evs' | 'ims' | 'obs' | 'rds';

export interface MasterKey {
  readonly id: string;
  /** The key's name, for example "app-db" or "evs/default". */
  readonly alias: string;
  readonly description: string;
  readonly keySpec: 'AES_256';
  readonly origin: KeyOrigin;
  readonly state: KeyState;
  readonly isDefault: boolean;
  /** Newest version; 0 while material is pending import. */
  readonly version: number;
  readonly createdAtMs: number;
  /** While pending deletion: how much of the window is left, as counted by the daemon. */
  readonly deletionLeftMs?: number;
  /** While pending deletion: the earliest wall time it can end, if the daemon runs all along. */
  readonly deletionAtMs?: number;
}

export interface NewKey {
  readonly alias: string;
  readonly description?: string;
  readonly origin?: KeyOrigin;
}

/** Who asks, for the audit record. */
export interface Caller {
  readonly principal: string;
}

export interface CreatedDataKey {
  /** The caller releases it. */
  readonly dataKey: Secret;
  readonly wrapped: Buffer;
}

/** The use of one usable key, valid inside the callback that was given it. */
export interface KeySession {
  readonly key: MasterKey;
  /** `context.layer`, `context.generation` are recorded beside the master key. */
  createDataKey(context: WrapContext): Promise<CreatedDataKey>;
  /** Throws INTEGRITY_FAILED, HEADER_OUTDATED. The caller releases the secret. */
  unwrapDataKey(wrapped: Buffer, context: WrapContext): Promise<Secret>;
}

/** What became of one disk when its key changed; for replies and the audit. */
export interface DiskChange {
  readonly disk: string;
  readonly kind: 'volume' | 'image' | 'snapshot' | 'operation';
  readonly outcome:
    'closed' | 'closed-unflushed' | 'kept-until-detach' | 'reopened' | 'reopen-failed' | 'lost';
  readonly tookMs: number;
  readonly detail?: string;
}

export interface KeyLossOptions {
  /** Programs that keep something readable of its disks are killed. */
  readonly killUsers: boolean;
}

/**
 * Hears of state changes, inside the exclusive lock of the key. Must not call withKey for the
 * same key.
 */
export interface KeyListener {
  /**
   * The key is not usable from now on. Answers within a second. Calls `atRest` when all that is
   * mounted is at rest: not before may the loss be recorded, for a daemon that is killed and starts
   * again without the key could bring nothing to rest.
   */
  keyLost(key: MasterKey, options: KeyLossOptions, atRest: () => void): Promise<DiskChange[]>;
  /** The key is usable again. */
  keyUsable(key: MasterKey, session: KeySession): Promise<DiskChange[]>;
  /** The key is gone for ever. */
  keyDeleted(key: MasterKey): Promise<void>;
}

export interface KeyChange {
  readonly key: MasterKey;
  /** False for a friendly no-op. */
  readonly changed: boolean;
  readonly disks: readonly DiskChange[];
  readonly tookMs: number;
  /** Set when the state, or what became of the disks, could not be recorded (full disk). */
  readonly unrecorded?: string;
}

export interface KeyService {
  createKey(key: NewKey, caller: Caller): Promise<MasterKey>;
  listKeys(): MasterKey[];
  /** By id or alias; throws KEY_NOT_FOUND. */
  findKey(nameOrId: string): MasterKey;
  /** Made at first use. */
  defaultKey(service: DefaultKeyService, caller: Caller): Promise<MasterKey>;

  enableKey(nameOrId: string, caller: Caller): Promise<KeyChange>;
  disableKey(nameOrId: string, caller: Caller, options?: KeyLossOptions): Promise<KeyChange>;
  /**
   * `confirm` sees the key once all else allows its deletion, while no use of the key runs, and
   * throws to refuse it.
   */
  scheduleDeletion(
    nameOrId: string,
    days: number,
    caller: Caller,
    confirm?: (key: MasterKey) => void,
    options?: KeyLossOptions,
  ): Promise<KeyChange>;
  cancelDeletion(nameOrId: string, caller: Caller): Promise<KeyChange>;
  renameKey(nameOrId: string, alias: string, caller: Caller): Promise<MasterKey>;
  describeKey(nameOrId: string, description: string, caller: Caller): Promise<MasterKey>;

  /** Throws KEY_DISABLED, KEY_PENDING_DELETION, KEY_PENDING_IMPORT, KEY_DELETED. */
  assertUsable(keyId: string): void;
  /**
   * Runs `work` while the key is usable; no state of the key changes meanwhile, so keep it short
   * and register every gate before it. Throws as assertUsable; a refusal is audited.
   */
  withKey<Result>(
    keyId: string,
    caller: Caller,
    work: (session: KeySession) => Promise<Result>,
  ): Promise<Result>;

  setListener(listener: KeyListener): void;
  /** Ends keys whose deletion window has run out and counts the time; called by the daemon's timer. */
  tick(): Promise<void>;
  close(): Promise<void>;
}
