/** What the audit log must say: one record of every verb, done or refused, in order. */
import { Mismatch } from './content.js';
import { isIo, kindOf, type SimpleOperation } from './operations.js';

const actions: Partial<Record<SimpleOperation['do'], (kind: string) => string>> = {
  create: () => 'createVolume',
  fresh: () => 'createVolume',
  clone: () => 'createVolume',
  snapshot: () => 'createSnapshot',
  rollback: () => 'rollbackSnapshot',
  image: () => 'createImage',
  import: () => 'createImage',
  delete: (kind) => `delete${kind}`,
  attach: (kind) => `attach${kind}`,
  detach: (kind) => `detach${kind}`,
};

const keyActions = {
  disable: 'disableKey',
  enable: 'enableKey',
  schedule: 'scheduleKeyDeletion',
  cancel: 'cancelKeyDeletion',
} as const;

export class AuditBook {
  #expected: { readonly text: string; readonly certain: boolean }[] = [];

  expect(operation: SimpleOperation, code: string): void {
    this.#add(operation, code, true);
  }

  /** The process was killed before it told: the record may be missing. */
  maybe(operation: SimpleOperation): void {
    this.#add(operation, 'done', false);
  }

  /** Throws unless the records since the last call are those that are expected. */
  compare(records: readonly string[]): void {
    const expected = this.#expected;
    this.#expected = [];
    const left = [...records];
    for (const { text, certain } of expected) {
      const at = left.indexOf(text);
      if (at < 0 && certain)
        throw new Mismatch(`no audit record "${text}" in ${records.join('; ')}`);
      if (at >= 0) left.splice(at, 1);
    }
    if (left.length > 0) throw new Mismatch(`audit records of nothing: ${left.join('; ')}`);
  }

  #add(operation: SimpleOperation, code: string, certain: boolean): void {
    const text = recordOf(operation, code);
    if (text !== undefined) this.#expected.push({ text, certain });
  }
}

function recordOf(operation: SimpleOperation, code: string): string | undefined {
  if (isIo(operation)) return undefined;
  if (operation.do === 'key') return `k${operation.key}: ${keyActions[operation.action]} ${code}`;
  const kind = kindOf(operation.disk);
  const action = actions[operation.do]?.(`${kind[0]?.toUpperCase() ?? ''}${kind.slice(1)}`);
  return action === undefined ? undefined : `${kind} ${operation.disk}: ${action} ${code}`;
}
