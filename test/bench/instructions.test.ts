/**
 * The data path must not become dearer unseen. A clock would say something else on every machine
 * and every day; the number of instructions that one thread takes in user space does not, but for
 * what libc chooses by processor. bench/instructions.json has what they were;
 * KEYVOL_UPDATE_FIXTURES=1 writes it anew, for a change that is worth it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { tempDirectory } from '../support/temp.js';
import { must } from '../support/world.js';

const file = 'bench/instructions.json';
const program = 'build-bench/native/instructions';

interface Budget {
  readonly tolerancePercent: number;
  readonly instructions: Readonly<Record<string, number>>;
}

function parsed(text: string): Map<string, number> {
  const lines = text.trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [what = '', count] = line.split('\t');
      return [what, Number(count)];
    }),
  );
}

t.test('the ciphers and the way through the layers take what they took', async (t) => {
  await must('make', '-s', '-f', 'bench/native/Makefile', program);
  const counts = parsed(await must(program, tempDirectory(t)));
  // Written by this test, so of this shape.
  const { tolerancePercent, instructions } = JSON.parse(readFileSync(file, 'utf8')) as Budget;
  t.ok(counts.has('read 4 KiB through 32'));
  for (const [what, count] of counts) {
    const expected = instructions[what] ?? 0;
    const off = (count / expected - 1) * 100;
    t.ok(
      Math.abs(off) <= tolerancePercent,
      `${what}: ${String(count)} instructions, ${off.toFixed(1)} % off ${String(expected)}`,
    );
  }
  if (process.env.KEYVOL_UPDATE_FIXTURES !== '1') return;
  const budget: Budget = { tolerancePercent, instructions: Object.fromEntries(counts) };
  writeFileSync(file, `${JSON.stringify(budget, undefined, 2)}\n`);
});
