/** Medians and spreads, of figures and of ratios of figures that were taken in the same round. */
import type { Turn } from './results.js';

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export type Choice = Partial<Pick<Turn, 'suite' | 'backing' | 'job' | 'subject' | 'unit'>>;

/** Undefined for no values. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [least] = sorted;
  const most = sorted.at(-1);
  if (least === undefined || most === undefined) return undefined;
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)] ?? least;
  const high = sorted[Math.ceil(middle)] ?? most;
  return { median: (low + high) / 2, least, most };
}

export function choose(turns: readonly Turn[], choice: Choice): Turn[] {
  const wanted = Object.entries(choice);
  return turns.filter((turn) => wanted.every(([key, value]) => turn[key as keyof Turn] === value));
}

/** How many times the figure of `theirs` that of `ours` is, round by round. */
export function ratioOf(ours: readonly Turn[], theirs: readonly Turn[]): Spread | undefined {
  const ratios = ours.flatMap(({ round, value }) =>
    theirs.filter((turn) => turn.round === round).map((turn) => value / turn.value),
  );
  return spreadOf(ratios);
}

/** The different values of a field, in order of appearance. */
export function distinct<Key extends keyof Turn>(turns: readonly Turn[], key: Key): Turn[Key][] {
  return [...new Set(turns.map((turn) => turn[key]))];
}
