/** All the cuts of one recording, and the states they leave. */
import { modelRandom, type ModelRandom } from '../support/model-random.js';
import { choicesOf } from './choices.js';
import type { Recorded } from './recorded.js';
import type { Choice, Pending, Storage, Tree } from './storage.js';

export interface Cut {
  readonly tree: Tree;
  /** How many marks came before it. */
  readonly marks: number;
  /** "before flush 12, of 3 pending kept: write at 0, unlink disks.db-wal". */
  readonly text: string;
}

export interface CutRecording {
  /** A fresh one each time: what was there before, safely. */
  readonly storage: () => Storage;
  /** What the storage writes whole or not at all. */
  readonly pieceBytes: number;
  readonly records: readonly Recorded[];
}

/**
 * Cuts before and after every flush, and at the end: whatever a cut between two flushes leaves,
 * one just before the second leaves too, when more is promised. Those that leave nothing of what is
 * pending, or all of it, and at most `most` of the others, chosen by `seed`; no two the same.
 */
export function* cutsOf(recording: CutRecording, most: number, seed: number): Generator<Cut> {
  const total = countCuts(recording, seed);
  const wanted = sample(total, most, modelRandom(seed + 1));
  const seen = new Set<string>();
  let index = 0;
  for (const { choice, at, source, marks, isEdge } of allCuts(recording, seed)) {
    index += 1;
    if (!isEdge && !wanted.has(index - 1)) continue;
    const tree = source.cut(choice);
    const state = `${marks} ${tree.print}`;
    if (seen.has(state)) continue;
    seen.add(state);
    yield { tree, marks, text: describe(at, choice, source.pending) };
  }
}

interface Candidate {
  readonly source: Storage;
  readonly choice: Choice;
  readonly at: string;
  readonly marks: number;
  /** All or nothing lasts. */
  readonly isEdge: boolean;
}

function* allCuts(recording: CutRecording, seed: number): Generator<Candidate> {
  const storage = recording.storage();
  const random = modelRandom(seed);
  let marks = 0;
  let flushes = 0;
  let old = new Set<Pending>();
  const candidates = function* (at: string): Generator<Candidate> {
    const { pending } = storage;
    const fresh = pending.findIndex((one) => !old.has(one));
    const choices = choicesOf(
      pending,
      fresh < 0 ? pending.length : fresh,
      recording.pieceBytes,
      random,
    );
    const everything = new Map(pending.map((one) => [one, 'all'] as const));
    for (const choice of [new Map<never, never>(), everything]) {
      yield { source: storage, choice, at, marks, isEdge: true };
    }
    for (const choice of choices) yield { source: storage, choice, at, marks, isEdge: false };
  };
  for (const record of recording.records) {
    const isFlush = record.kind === 'sync' || record.kind === 'sync-all';
    if (isFlush) yield* candidates(`before flush ${flushes}`);
    storage.feed(record);
    if (record.kind === 'mark') marks += 1;
    if (!isFlush) continue;
    const at = `after flush ${flushes}`;
    yield { source: storage, choice: new Map(), at, marks, isEdge: true };
    flushes += 1;
    old = new Set(storage.pending);
  }
  yield* candidates('at the end');
}

function countCuts(recording: CutRecording, seed: number): number {
  const cuts = allCuts(recording, seed);
  let count = 0;
  while (cuts.next().done !== true) count += 1;
  return count;
}

/** Which of `total` things are taken: `most` of them, each as likely as any other. */
function sample(total: number, most: number, random: ModelRandom): Set<number> {
  const all = Array.from({ length: total }, (_, index) => index);
  for (let at = 0; at < Math.min(most, total); at += 1) {
    const other = at + random.below(total - at);
    [all[at], all[other]] = [all[other] ?? 0, all[at] ?? 0];
  }
  return new Set(all.slice(0, most));
}

function describe(at: string, choice: Choice, pending: readonly Pending[]): string {
  const kept = pending.flatMap((one) => {
    const extent = choice.get(one);
    if (extent === undefined) return [];
    const torn = extent === 'all' ? '' : ` torn to ${extent.fromBytes}–${extent.toBytes}`;
    return [`${one.text}${torn}`];
  });
  return `${at}, of ${pending.length} pending kept: ${kept.join(', ')}`;
}
