/**
 * The power goes at every moment of a workload, and storage keeps of what was not flushed what it
 * likes, in pieces of 512 bytes. The next start must find everything that was acknowledged, and
 * nothing wrong; and so must the start after a start that was cut, too.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isRoot, smallFilesystem } from '../support/temp.js';
import type { History } from './history.js';
import { judge } from './judge.js';
import { KeyBytes } from './key-bytes.js';
import { RecordingStudio, type Recording } from './recording.js';
import { longWorkload } from './workloads.js';

const seed = Number(process.env.KEYVOL_CUT_SEED ?? Date.now() % 1e6);
/** How many states are to be judged, at least. */
const wanted = Number(process.env.KEYVOL_CUTS ?? '4200');
/** Of one workload, beside those at its flushes. */
const most = 700;
const recordsStartEvery = 60;

const skip = isRoot ? false : 'mounting needs root';
const studio = new RecordingStudio(t);
const keyBytes = new KeyBytes();

t.test(`long workloads, seed ${String(seed)}`, { skip, timeout: 0 }, async (t) => {
  const directory = smallFilesystem(t, '1g');
  let seen = 0;
  let starts = 0;
  const recordStart = (place: string, history: History): Recording | undefined => {
    const stateDir = join(place, 'state');
    seen += 1;
    // Before the state directory there is nothing to start.
    if (seen % recordsStartEvery !== 0 || !existsSync(stateDir)) return undefined;
    starts += 1;
    return studio.record([], { stateDir, history });
  };
  let states = 0;
  for (let number = 0; states < wanted; number += 1) {
    const recording = studio.record(longWorkload(seed + number, 40));
    const options = { directory, most, seed, keyBytes, recordStart };
    const verdict = await judge(recording, options);
    recording.forget();
    states += verdict.states;
    t.same(verdict.problems, [], `${String(verdict.states)} states: ${JSON.stringify(verdict)}`);
    if (verdict.problems.length > 0) return;
  }
  t.ok(starts > 0, `${String(states)} states, ${String(starts)} starts were cut, too`);
  t.ok(keyBytes.pairs > states / 100, `${String(keyBytes.pairs)} nonces, none of them used twice`);
});
