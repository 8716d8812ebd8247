/** Judges the states that cuts leave, until one is wrong. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkState } from './checker.js';
import { cutsOf, type Cut } from './cuts.js';
import type { History } from './history.js';
import type { KeyBytes } from './key-bytes.js';
import { historyOf, type Recording } from './recording.js';
import { saveTree } from './storage.js';

export interface JudgeOptions {
  /** Where states are laid out; best in memory. */
  readonly directory: string;
  /** How many states at most, beside those at the flushes themselves. */
  readonly most: number;
  readonly seed: number;
  readonly keyBytes: KeyBytes;
  /** Is shown each state before it is judged, and answers what a start is seen doing to it, if asked. */
  readonly recordStart?: (stateDir: string, history: History) => Recording | undefined;
}

export interface Verdict {
  /** How many states were judged, those of starts among them. */
  readonly states: number;
  /** Of the first state that is wrong; empty when none is. */
  readonly problems: readonly string[];
  /** Which cut it was. */
  readonly text?: string;
}

/** A check waits half of its time. */
const atOnce = 3;
/** Of how a start is cut, for each one that is recorded. */
const mostOfStart = 12;
/** Every so many a state is started twice though it was in order. */
const twiceEvery = 8;

export async function judge(recording: Recording, options: JudgeOptions): Promise<Verdict> {
  const cuts = cutsOf(recording.storage, recording.records, options.most, options.seed);
  let states = 0;
  let wrong: Verdict | undefined;
  const work = async (place: string): Promise<void> => {
    for (let next = cuts.next(); next.done !== true; next = cuts.next()) {
      const index = states;
      states += 1;
      const verdict = await judgeCut(recording, next.value, { ...options, place, index });
      states += verdict.states;
      if (verdict.problems.length > 0) wrong ??= verdict;
      if (wrong !== undefined) return;
    }
  };
  const places = Array.from({ length: atOnce }, (_, n) => join(options.directory, `cut${n}`));
  await Promise.all(places.map(work));
  return wrong === undefined ? { states, problems: [] } : { ...wrong, states };
}

interface CutOptions extends JudgeOptions {
  readonly place: string;
  readonly index: number;
}

/** Its states are those of a start that was recorded of it. */
async function judgeCut(
  recording: Recording,
  cut: Cut,
  { place, index, seed, keyBytes, recordStart }: CutOptions,
): Promise<Verdict> {
  mkdirSync(place);
  try {
    saveTree(cut.tree, place);
    const history = historyOf(recording, cut.marks);
    const stateDir = join(place, 'state');
    const start = recordStart?.(stateDir, history);
    const alwaysTwice = index % twiceEvery === 0;
    const problems = await checkState(stateDir, history, { keyBytes, alwaysTwice });
    if (problems.length > 0) return { states: 0, problems, text: cut.text };
    if (start === undefined) return { states: 0, problems: [] };
    const directory = join(place, 'start');
    mkdirSync(directory);
    const verdict = await judge(start, { directory, most: mostOfStart, seed, keyBytes });
    start.forget();
    return { ...verdict, text: `${cut.text}; then in the start ${verdict.text ?? ''}` };
  } finally {
    rmSync(place, { recursive: true });
  }
}
