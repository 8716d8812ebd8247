/** What the calling thread and the writer thread say to each other. */
import { Fault, isFaultCode } from '../fault.js';
import type { Statement, StoreOptions } from './store.js';

export type WriterOptions = StoreOptions;

export type Request =
  | { readonly id: number; readonly kind: 'commit'; readonly statements: readonly Statement[] }
  | { readonly id: number; readonly kind: 'scrub' }
  | { readonly id: number; readonly kind: 'close' };

/** A Fault as plain data: structured clones lose classes and fields of errors. */
export interface FaultData {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly cause: string | undefined;
}

/** The first reply, id 0, tells whether the database could be opened. */
export interface Reply {
  readonly id: number;
  readonly fault?: FaultData;
}

export const readyId = 0;

export function packFault(fault: Fault): FaultData {
  const cause = fault.cause instanceof Error ? String(fault.cause) : undefined;
  return { code: fault.code, message: fault.message, hint: fault.hint, cause };
}

export function unpackFault(data: FaultData): Fault {
  const code = isFaultCode(data.code) ? data.code : 'INTERNAL';
  return new Fault(code, data.message, {
    ...(data.hint === undefined ? {} : { hint: data.hint }),
    ...(data.cause === undefined ? {} : { cause: new Error(data.cause) }),
  });
}
