/** What a check can find, each with a name that stays. */

/** Of the disk's data something is lost, or will be with the next damage. */
export const damageKinds = [
  'container-missing',
  'container-foreign',
  'container-short',
  'container-unreadable',
  'header-invalid',
  'header-copy-damaged',
  'header-copy-outdated',
  'header-copies-differ',
  'header-outdated',
  'token-unreadable',
  'record-mismatch',
  'key-mismatch',
  'data-unreadable',
] as const;

/** Not as keyvol leaves it, but the disk is whole. */
export const noteKinds = [
  'container-owner',
  'container-mode',
  'container-long',
  'unused-area',
] as const;

export type FindingKind = (typeof damageKinds)[number] | (typeof noteKinds)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** Whole sentences without their end. */
  readonly message: string;
  readonly cure: string;
  readonly layerId?: string;
  /** Its file. */
  readonly container?: string;
  /** Of the disk, with `data-unreadable`. */
  readonly range?: { readonly offsetBytes: number; readonly lengthBytes: number };
  /** It was there, and is no more. */
  readonly repaired?: true;
}

const damages: ReadonlySet<string> = new Set(damageKinds);

export function severityOf({ kind }: Finding): 'damage' | 'note' {
  return damages.has(kind) ? 'damage' : 'note';
}

export function isDamage(finding: Finding): boolean {
  return severityOf(finding) === 'damage' && finding.repaired !== true;
}

/** One of two header copies is bad: what a repair mends. */
export function isBadCopy({ kind, repaired }: Finding): boolean {
  return (kind === 'header-copy-damaged' || kind === 'header-copy-outdated') && repaired !== true;
}
