/** The power goes at every moment of every short workload (long-workloads.test.ts has the rest). */
import t from 'tap';
import { isRoot, smallFilesystem } from '../support/temp.js';
import { judge } from './judge.js';
import { KeyBytes } from './key-bytes.js';
import { RecordingStudio } from './recording.js';
import { beginning, shortWorkload, shortWorkloads } from './workloads.js';

const seed = Number(process.env.KEYVOL_CUT_SEED ?? Date.now() % 1e6);
/** How many steps the workloads have. */
const length = Number(process.env.KEYVOL_CUT_STEPS ?? '1');
/** Of one workload, beside those at its flushes. */
const most = 60;

const skip = isRoot ? false : 'mounting needs root';

t.test(`all of ${String(length)} steps, seed ${String(seed)}`, { skip, timeout: 0 }, async (t) => {
  const directory = smallFilesystem(t, '1g');
  const studio = new RecordingStudio(t);
  const options = { directory, most, seed, keyBytes: new KeyBytes() };
  const begin = await studio.prepare(beginning);
  let states = 0;
  for (let number = 0; number < shortWorkloads(length); number += 1) {
    const workload = shortWorkload(length, number);
    const recording = studio.record(workload, begin);
    const verdict = await judge(recording, options);
    recording.forget();
    states += verdict.states;
    t.same(verdict.problems, [], `${JSON.stringify(workload)}: ${JSON.stringify(verdict)}`);
  }
  t.ok(states > 0, `${String(states)} states`);
});
