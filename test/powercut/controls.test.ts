// The judge of power cuts is judged: every planted bug must be found, and nothing without one.
import t from 'tap';
import { isRoot, smallFilesystem } from '../support/temp.js';
import { plantedBugs } from './bugs.js';
import type { Operation } from './history.js';
import { judge } from './judge.js';
import { KeyBytes } from './key-bytes.js';
import { RecordingStudio } from './recording.js';
import { eventful } from './workloads.js';

const most = 150;
const seed = 1;
const skip = isRoot ? false : 'mounting needs root';

t.test('planted bugs', { skip, timeout: 0 }, async (t) => {
  const directory = smallFilesystem(t, '1g');
  const studio = new RecordingStudio(t);
  const recording = studio.record(eventful);
  const options = { directory, most, seed };
  const sound = await judge(recording, { ...options, keyBytes: new KeyBytes() });
  t.same(sound.problems, [], `without one: ${JSON.stringify(sound)}`);
  for (const { name, plant } of plantedBugs) {
    const records = plant(recording.records);
    const verdict = await judge(
      { ...recording, records },
      { ...options, keyBytes: new KeyBytes() },
    );
    t.ok(verdict.problems.length > 0, `${name}: ${JSON.stringify(verdict)}`);
  }
});

t.test('nonces that begin anew at every start', { skip, timeout: 0 }, async (t) => {
  const directory = smallFilesystem(t, '1g');
  const studio = new RecordingStudio(t);
  const keyBytes = new KeyBytes();
  const options = { directory, most: 20, seed, keyBytes };
  const begin = await studio.prepare([{ do: 'create-key', alias: 'app' }, { do: 'stop' }]);
  const problems: string[] = [];
  for (const name of ['one', 'two']) {
    const create: Operation = { do: 'create-volume', name, sectors: 2, key: 'app' };
    const recording = studio.record([create], begin, { resetsNonces: true });
    problems.push(...(await judge(recording, options)).problems);
  }
  t.match(problems, [/a nonce was used twice under one key/]);
});
