/**
 * Whatever happens to whole trees of disks — snapshots, clones of clones, images, rollbacks, sizes,
 * deletions in any order, kill -9, lost keys, failing storage — each disk reads as the model in
 * memory says, the records, files and audit log are what the model says, and no two layers share a
 * key. A failing run is shrunk and printed; KEYVOL_TREE_REPLAY (a file, or the lines themselves)
 * runs it again. KEYVOL_TREE_SEED and KEYVOL_TREE_OPS make other runs.
 */
import t from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { tempDirectory, type Teardown } from '../support/temp.js';
import { makeRun } from '../support/tree/generate.js';
import { formatRun, parseRun, type TreeOperation } from '../support/tree/operations.js';
import { runTree, TreeFailure, type TreeReport } from '../support/tree/run.js';
import { shrink } from '../support/tree/shrink.js';
import { ChildSubject } from '../support/tree/subjects.js';

const seed = Number(process.env['KEYVOL_TREE_SEED'] ?? Date.now() % 2 ** 32);
const length = Number(process.env['KEYVOL_TREE_OPS'] ?? 15_000);
const replay = process.env['KEYVOL_TREE_REPLAY'];
const shrinkWithinMs = 300_000;

/** Verbs take a hundred times as long as reads and writes, and are as many times rarer. */
const shape = {
  seed,
  operations: length,
  startDepth: 68,
  verbs: 30,
  keys: 4,
  faults: 8,
  kills: 60,
};

async function runNew(t: Teardown, operations: readonly TreeOperation[]): Promise<TreeReport> {
  const subject = await ChildSubject.start(tempDirectory(t));
  try {
    return await runTree(subject, operations);
  } finally {
    await subject.close();
  }
}

/** Where a run fails, if it does. */
async function failureOf(
  t: Teardown,
  operations: readonly TreeOperation[],
): Promise<number | undefined> {
  try {
    await runNew(t, operations);
    return undefined;
  } catch (error) {
    if (error instanceof TreeFailure) return error.index;
    throw error;
  }
}

function operationsOfRun(): TreeOperation[] {
  if (replay === undefined) return makeRun(shape);
  return parseRun(existsSync(replay) ? readFileSync(replay, 'utf8') : replay);
}

t.test('random operations on trees do as the model says', { timeout: 0 }, async (t) => {
  const operations = operationsOfRun();
  t.comment(`KEYVOL_TREE_SEED=${seed} KEYVOL_TREE_OPS=${operations.length}`);
  try {
    const report = await runNew(t, operations);
    t.comment(JSON.stringify(report));
    if (replay !== undefined) return;
    t.ok(report.mostLayers >= 200, `${report.mostLayers} layers at once`);
    t.ok(report.deepest >= 64, `a disk was ${report.deepest} layers deep`);
  } catch (error) {
    t.fail(String(error));
    if (!(error instanceof TreeFailure)) throw error;
    const failing = operations.slice(0, error.index + 1);
    const deadlineMs = performance.now() + shrinkWithinMs;
    const short = await shrink(failing, (shorter) => failureOf(t, shorter), deadlineMs);
    t.comment(`fails after ${short.tries} tries, as KEYVOL_TREE_REPLAY:`);
    t.comment(formatRun(short.operations));
  }
});
