/**
 * Whatever happens to a stack — unaligned writes, discards, snapshots, rollbacks, clones,
 * deletions, detaching — each disk reads as a plain array of bytes would. This is the test that
 * finds what nobody thought of. KEYVOL_MODEL_SEED repeats a failure, KEYVOL_MODEL_OPS its length.
 */
import t from 'tap';
import { MIB } from '../support/layers.js';
import { runModel } from '../support/model.js';
import { StackBackend } from '../support/model-stacks.js';
import { tempDirectory } from '../support/temp.js';

t.test('random operations on deep stacks read as the model says', async (t) => {
  const seed = Number(process.env.KEYVOL_MODEL_SEED ?? Date.now() % 2 ** 32);
  const operations = Number(process.env.KEYVOL_MODEL_OPS ?? 20_000);
  t.comment(`KEYVOL_MODEL_SEED=${seed} KEYVOL_MODEL_OPS=${operations}`);
  const backend = new StackBackend(tempDirectory(t));
  const result = await runModel(backend, {
    seed,
    operations,
    diskBytes: 3 * MIB + 20 * 1024,
    maxDisks: 4,
    maxDepth: 40,
    startDepth: 18,
  });
  await backend.close();
  t.comment(JSON.stringify(result));
  t.ok(result.deepest >= 16, 'a stack was at least 16 layers deep');
});
