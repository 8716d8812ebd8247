/**
 * The power goes at every moment of what ext4 and XFS do to the disk below a state directory: the
 * filesystem must come back, and the next start must find in it what was acknowledged. It may keep
 * more than POSIX promises (long-workloads.test.ts takes it at its word), and must not keep less.
 */
import { join } from 'node:path';
import t from 'tap';
import { diskFilesystems } from '../support/nbd-disk.js';
import { isRoot, smallFilesystem } from '../support/temp.js';
import { BlockStudio, enterDisk } from './block-recording.js';
import { flushesToldAtOnce, forgetfulDisk } from './bugs.js';
import type { History } from './history.js';
import { judge } from './judge.js';
import { KeyBytes } from './key-bytes.js';
import type { Recorded } from './recorded.js';
import type { Recording } from './recording.js';
import { eventful, longWorkload } from './workloads.js';

const seed = Number(process.env.KEYVOL_CUT_SEED ?? Date.now() % 1e6);
/** How many states are to be judged, at least, of all filesystems together. */
const wanted = Number(process.env.KEYVOL_BLOCK_CUTS ?? '500') / diskFilesystems.length;
/** Of one workload, beside those at its flushes. */
const most = 200;
const recordsStartEvery = 100;

const skip = isRoot ? false : 'mounting needs root';

for (const filesystem of diskFilesystems) {
  const { name } = filesystem;
  t.test(`under ${name}, seed ${String(seed)}`, { skip, timeout: 0 }, async (t) => {
    const directory = smallFilesystem(t, '2g');
    const studio = new BlockStudio(t, filesystem);
    const enter = (place: string) => enterDisk(place, name);
    const keyBytes = new KeyBytes();
    let seen = 0;
    let starts = 0;
    const recordStart = async (place: string, history: History): Promise<Recording | undefined> => {
      seen += 1;
      if (seen % recordsStartEvery !== 0) return undefined;
      starts += 1;
      return studio.record([], { disk: join(place, 'disk'), history });
    };
    let states = 0;
    for (let number = 0; states < wanted; number += 1) {
      const recording = await studio.record(longWorkload(seed + number, 12));
      const options = { directory, most, seed, keyBytes, recordStart, enter };
      const verdict = await judge(recording, options);
      recording.forget();
      states += verdict.states;
      t.same(verdict.problems, [], `${String(verdict.states)} states: ${JSON.stringify(verdict)}`);
      if (verdict.problems.length > 0) return;
    }
    t.ok(starts > 0, `${String(states)} states, ${String(starts)} starts were cut, too`);
  });
}

t.test('what should be found is found', { skip, timeout: 0 }, async (t) => {
  const directory = smallFilesystem(t, '2g');
  for (const filesystem of diskFilesystems) {
    const studio = new BlockStudio(t, filesystem);
    const recording = await studio.record(eventful);
    const enter = (place: string) => enterDisk(place, filesystem.name);
    const problemsOf = async (records: readonly Recorded[]): Promise<readonly string[]> => {
      const options = { directory, most: 20, seed: 1, keyBytes: new KeyBytes(), enter };
      return (await judge({ ...recording, records }, options)).problems;
    };
    t.same(await problemsOf(recording.records), [], `${filesystem.name}: nothing is wrong`);
    for (const plant of [flushesToldAtOnce, forgetfulDisk]) {
      const problems = await problemsOf(plant(recording.records));
      t.ok(problems.length > 0, `${filesystem.name}, ${plant.name}: ${problems.join('; ')}`);
    }
  }
});
