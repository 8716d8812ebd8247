/** The pure table of DESIGN §4: what each action does to a key in each state. */
import { Fault } from '../fault.js';
import type { FaultCode } from '../fault.js';
import type { KeyState } from './key-service.js';

export type KeyAction =
  | 'use'
  | 'enable'
  | 'disable'
  | 'schedule-deletion'
  | 'cancel-deletion'
  | 'update'
  | 'import-material';

/** The column of the table a key is in: its state, or `default` for a key of the services. */
export type KeyColumn = KeyState | 'default';

/** The state that follows, "same" for an allowed action that changes none, or the refusal. */
export type KeyOutcome = KeyState | 'same' | FaultCode;

/** The cloud API's `key_state`. */
export const keyStateNumbers: Readonly<Record<KeyState, 2 | 3 | 4 | 5>> = {
  enabled: 2,
  disabled: 3,
  'pending-deletion': 4,
  'pending-import': 5,
};

const protectedKey = 'DEFAULT_KEY_PROTECTED';

export const keyStateTable: Readonly<Record<KeyAction, Readonly<Record<KeyColumn, KeyOutcome>>>> = {
  use: {
    enabled: 'same',
    disabled: 'KEY_DISABLED',
    'pending-deletion': 'KEY_PENDING_DELETION',
    'pending-import': 'KEY_PENDING_IMPORT',
    default: 'same',
  },
  enable: {
    enabled: 'KEY_NOT_DISABLED',
    disabled: 'enabled',
    'pending-deletion': 'KEY_PENDING_DELETION',
    'pending-import': 'KEY_NOT_DISABLED',
    default: protectedKey,
  },
  disable: {
    enabled: 'disabled',
    disabled: 'KEY_NOT_ENABLED',
    'pending-deletion': 'KEY_PENDING_DELETION',
    'pending-import': 'KEY_NOT_ENABLED',
    default: protectedKey,
  },
  'schedule-deletion': {
    enabled: 'pending-deletion',
    disabled: 'pending-deletion',
    'pending-deletion': 'KEY_ALREADY_PENDING_DELETION',
    'pending-import': 'pending-deletion',
    default: protectedKey,
  },
  'cancel-deletion': {
    enabled: 'KEY_NOT_PENDING_DELETION',
    disabled: 'KEY_NOT_PENDING_DELETION',
    // A person must decide to trust the key again.
    'pending-deletion': 'disabled',
    'pending-import': 'KEY_NOT_PENDING_DELETION',
    default: protectedKey,
  },
  update: {
    enabled: 'same',
    disabled: 'same',
    'pending-deletion': 'KEY_PENDING_DELETION',
    'pending-import': 'same',
    default: protectedKey,
  },
  'import-material': {
    enabled: 'KEY_NOT_PENDING_IMPORT',
    disabled: 'KEY_NOT_PENDING_IMPORT',
    'pending-deletion': 'KEY_NOT_PENDING_IMPORT',
    'pending-import': 'enabled',
    default: protectedKey,
  },
};

/** What the table and the messages need to know of a key. */
export interface JudgedKey {
  readonly alias: string;
  readonly state: KeyState;
  readonly isDefault: boolean;
  /** Newest version; 0 without material. */
  readonly version: number;
  readonly deletionLeftMs?: number;
}

/** The state after `action`, which may be the same. Throws the table's refusal. */
export function nextState(action: KeyAction, key: JudgedKey): KeyState {
  const outcome = keyStateTable[action][key.isDefault ? 'default' : key.state];
  if (outcome === 'same') return key.state;
  if (!isKeyState(outcome)) throw refusal(outcome, key);
  // Without material there is nothing that could be enabled later.
  return action === 'cancel-deletion' && key.version === 0 ? 'pending-import' : outcome;
}

export function isKeyState(outcome: string): outcome is KeyState {
  return Object.hasOwn(keyStateNumbers, outcome);
}

/** "5 days", rounded up, so that a key never ends before the day that is named. */
export function daysLeft(key: JudgedKey): string {
  const days = Math.ceil((key.deletionLeftMs ?? 0) / dayMs);
  return days === 1 ? '1 day' : `${days} days`;
}

export const dayMs = 24 * 60 * 60 * 1000;

/** The fault for an action the table refuses, naming the key, its state and the cure. */
export function refusal(code: FaultCode, key: JudgedKey): Fault {
  const is = key.isDefault ? 'is a default key' : stateText(key);
  const hint = hintOf[code]?.(key.alias);
  const because = becauseOf[code];
  const message = `key ${key.alias} ${is}${because === undefined ? '' : `, ${because}`}`;
  return new Fault(code, message, hint === undefined ? {} : { hint });
}

function stateText(key: JudgedKey): string {
  if (key.state === 'pending-deletion') return `is pending deletion (${daysLeft(key)} left)`;
  if (key.state === 'pending-import') return 'is pending import of its material';
  return `is ${key.state}`;
}

const becauseOf: Partial<Record<FaultCode, string>> = {
  KEY_NOT_DISABLED: 'only a disabled key can be enabled',
  KEY_NOT_ENABLED: 'only an enabled key can be disabled',
  KEY_NOT_PENDING_DELETION: 'there is no deletion to cancel',
  KEY_NOT_PENDING_IMPORT: 'it takes no material',
  DEFAULT_KEY_PROTECTED: 'which nobody can change or delete',
};

const hintOf: Partial<Record<FaultCode, (alias: string) => string>> = {
  KEY_DISABLED: (alias) => `keyvol key enable ${alias}`,
  KEY_PENDING_DELETION: (alias) =>
    `keyvol key cancel-deletion ${alias}, then keyvol key enable ${alias}`,
  KEY_PENDING_IMPORT: () => 'import its material, or use another key',
  DEFAULT_KEY_PROTECTED: () => 'use a key of your own where you need this: keyvol key create NAME',
};
