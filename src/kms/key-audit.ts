/** Sees to it that every key operation leaves exactly one audit record. */
import { auditStatement } from '../audit/audit.js';
import { Fault } from '../fault.js';
import type { AuditAction } from '../audit/audit.js';
import type { Clock } from '../clock.js';
import type { Statement, Store } from '../store/store.js';
import type { Caller } from './key-service.js';

export class KeyAudit {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** For the commit of what was done. */
  allowed(caller: Caller, action: AuditAction, resource: string, detail = ''): Statement {
    return this.#statement(caller, action, resource, 'allowed', detail);
  }

  /** Runs `work`, which commits its own record when it succeeds; records a refusal. */
  async guard<Result>(
    caller: Caller,
    action: AuditAction,
    resource: string,
    work: () => Promise<Result> | Result,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      await this.#recordRefusal(caller, action, resource, error);
      throw error;
    }
  }

  async #recordRefusal(
    caller: Caller,
    action: AuditAction,
    resource: string,
    error: unknown,
  ): Promise<void> {
    const code = error instanceof Fault ? error.code : 'INTERNAL';
    try {
      await this.#store.commit([this.#statement(caller, action, resource, 'refused', code)]);
    } catch {
      // Refused it is, with or without a record; the caller needs the reason of the refusal.
    }
  }

  #statement(
    caller: Caller,
    action: AuditAction,
    resource: string,
    result: 'allowed' | 'refused',
    detail: string,
  ): Statement {
    const timeMs = this.#clock.nowMs();
    return auditStatement({
      timeMs,
      principal: caller.principal,
      action,
      resource,
      result,
      detail,
    });
  }
}

/** How audit records name a key: the name for people, the id because names change. */
export function resourceOf(key: { readonly id: string; readonly alias: string }): string {
  return `${key.alias} (${key.id})`;
}
