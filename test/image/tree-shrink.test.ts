/**
 * The tests of trees find what is planted, and make of a run of a thousand operations one that a
 * person can read.
 */
import t from 'tap';
import { tempDirectory } from '../support/temp.js';
import { makeRun } from '../support/tree/generate.js';
import { formatRun, parseRun, type TreeOperation } from '../support/tree/operations.js';
import { runTree, TreeFailure } from '../support/tree/run.js';
import { shrink } from '../support/tree/shrink.js';
import type { TreeRequest, TreeSubject } from '../support/tree/subject.js';
import { LocalSubject } from '../support/tree/subjects.js';

/** Forgets what is written to volumes that were made from other disks. */
async function withBug(directory: string): Promise<TreeSubject> {
  const services = await LocalSubject.start(directory);
  const fresh = new Set<string>();
  const isForgotten = (request: TreeRequest): boolean =>
    ['write', 'zero', 'discard'].includes(request.do) &&
    'disk' in request &&
    fresh.has(request.disk);
  return {
    directory,
    perform: async (request) => {
      if (isForgotten(request)) return { code: 'done' };
      const answer = await services.perform(request);
      if ((request.do === 'fresh' || request.do === 'clone') && answer.code === 'done')
        fresh.add(request.disk);
      return answer;
    },
    restart: () => services.restart(),
    kill: () => services.kill(),
    close: () => services.close(),
  };
}

t.test('a planted bug is shrunk to a few operations', { timeout: 600_000 }, async (t) => {
  const operations = makeRun({
    seed: 7,
    operations: 1000,
    startDepth: 0,
    verbs: 150,
    keys: 10,
    faults: 10,
    kills: 0,
  });
  const failedAt = async (some: readonly TreeOperation[]): Promise<number | undefined> => {
    const subject = await withBug(tempDirectory(t));
    try {
      await runTree(subject, some);
      return undefined;
    } catch (error) {
      if (error instanceof TreeFailure) return error.index;
      throw error;
    } finally {
      await subject.close();
    }
  };
  const short = await shrink(operations, failedAt);
  t.comment(`${short.tries} tries:\n${formatRun(short.operations)}`);
  t.ok(short.operations.length <= 10, `${short.operations.length} operations are left`);
  t.same(parseRun(formatRun(short.operations)), short.operations, 'they can be pasted');
  t.not(await failedAt(parseRun(formatRun(short.operations))), undefined, 'and fail again');
});
