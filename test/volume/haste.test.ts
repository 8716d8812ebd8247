/** While something has a deadline, all threads of the process go first; afterwards as before. */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import t from 'tap';
import { Haste } from '../../dist/volume/haste.js';
import { isRoot } from '../support/temp.js';

const skip = isRoot ? false : 'priorities need root';

function priorities(): number[] {
  return readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread)));
}

t.test('all threads, for as long as any such work runs', { skip }, async (t) => {
  const usual = getPriority();
  // Threads of libuv's pool, which are started when they are first needed.
  await readFile('/proc/self/stat');
  t.ok(priorities().length > 1, 'there are some');
  const haste = new Haste();
  let endFirst = (): void => undefined;
  const first = haste.during(() => new Promise<void>((resolve) => (endFirst = resolve)));
  const failing = haste.during(() => Promise.reject(new Error('as it was told')));
  t.same(new Set(priorities()), new Set([-20]));
  await t.rejects(failing, /as it was told/);
  t.same(new Set(priorities()), new Set([-20]), 'the first one goes on');
  endFirst();
  await first;
  t.same(new Set(priorities()), new Set([usual]));
});
