/** Judges the states that cuts leave, until one is wrong. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkState, type CheckOptions } from './checker.js';
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
  /**
   * Is shown where each state was laid out, before it is judged, and answers what a start is seen
   * doing to it, if asked.
   */
  readonly recordStart?: (
    place: string,
    history: History,
  ) => Recording | undefined | Promise<Recording | undefined>;
  /** Where a state lies that is not laid out as a directory of its own. */
  readonly enter?: (place: string) => Promise<Entered>;
}

/** A state that can be started. */
export interface Entered {
  readonly stateDir: string;
  readonly leave: () => Promise<void>;
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
  const cuts = cutsOf(recording, options.most, options.seed);
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
  { place, index, recordStart, ...options }: CutOptions,
): Promise<Verdict> {
  mkdirSync(place);
  try {
    saveTree(cut.tree, place);
    const history = historyOf(recording, cut.marks);
    const start = await recordStart?.(place, history);
    const alwaysTwice = index % twiceEvery === 0;
    const problems = await check(place, history, { ...options, alwaysTwice });
    if (problems.length > 0) return { states: 0, problems, text: cut.text };
    if (start === undefined) return { states: 0, problems: [] };
    const directory = join(place, 'start');
    mkdirSync(directory);
    const verdict = await judge(start, { ...options, directory, most: mostOfStart });
    start.forget();
    return { ...verdict, text: `${cut.text}; then in the start ${verdict.text ?? ''}` };
  } finally {
    rmSync(place, { recursive: true });
  }
}

async function check(
  place: string,
  history: History,
  { enter = asDirectory, ...options }: CheckOptions & Pick<JudgeOptions, 'enter'>,
): Promise<readonly string[]> {
  let entered: Entered;
  try {
    entered = await enter(place);
  } catch (error) {
    return [`cannot be mounted: ${String(error)}`];
  }
  try {
    return await checkState(entered.stateDir, history, options);
  } finally {
    await entered.leave();
  }
}

function asDirectory(place: string): Promise<Entered> {
  return Promise.resolve({ stateDir: join(place, 'state'), leave: () => Promise.resolve() });
}
