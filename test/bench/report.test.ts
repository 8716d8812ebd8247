// What the report says is only as good as its arithmetic: ratios are taken within a round, a
// target is judged by the median of them, and nothing that was not measured is judged.
import t from 'tap';
import { plot } from '../../build-bench/plot.js';
import type { Turn } from '../../build-bench/results.js';
import { ratioOf, spreadOf } from '../../build-bench/statistics.js';
import { suiteSection } from '../../build-bench/tables.js';
import { verdicts } from '../../build-bench/targets.js';

const job = '1 MiB sequential read, depth 4';

function turns(subject: string, ...values: number[]): Turn[] {
  const figure = { suite: 'raw', backing: 'RAM', job, subject, unit: 'MB/s' } as const;
  return values.map((value, round) => ({ ...figure, round, value }));
}

t.test('a spread is the median with the least and the most', (t) => {
  t.same(spreadOf([]), undefined);
  t.same(spreadOf([7]), { median: 7, least: 7, most: 7 });
  t.same(spreadOf([10, 9, 1]), { median: 9, least: 1, most: 10 });
  t.same(spreadOf([4, 1, 3, 2]), { median: 2.5, least: 1, most: 4 });
  t.end();
});

t.test('a ratio compares turns of one round', (t) => {
  const ours = turns('keyvol', 800, 80, 8000);
  t.same(ratioOf(ours, turns('QEMU LUKS', 100, 10, 1000)), { median: 8, least: 8, most: 8 });
  t.same(ratioOf(ours, turns('QEMU LUKS', 200)), { median: 4, least: 4, most: 4 });
  t.same(ratioOf(ours, []), undefined);
  t.end();
});

t.test('a target is judged by the median of its ratios', (t) => {
  const judge = (...values: number[]): unknown[] =>
    verdicts([...turns('keyvol', ...values), ...turns('QEMU LUKS', 100, 100, 100)]).map(
      ({ beside, target, reached }) => ({ beside, target, reached }),
    );
  const verdict = { beside: 'QEMU LUKS', target: '≥ 8' };
  t.same(judge(800, 900, 100), [{ ...verdict, reached: true }]);
  t.same(judge(799, 900, 100), [{ ...verdict, reached: false }]);
  t.same(verdicts(turns('keyvol', 1)), [], 'alone it is not judged');
  t.end();
});

t.test('over NBD each of the others is to be left behind', (t) => {
  const copies = (subject: string, value: number): Turn => ({
    ...{ suite: 'nbd', backing: 'RAM', job: 'copy, 1 MiB reads', unit: 'MB/s' },
    ...{ subject, round: 0, value },
  });
  const measured = [copies('keyvol', 900), copies('nbdkit luks', 450), copies('qemu-nbd', 300)];
  t.same(
    verdicts(measured).map(({ beside, target, reached }) => [beside, target, reached]),
    [
      ['nbdkit luks', '≥ 2', true],
      ['qemu-nbd', '≥ 4', false],
    ],
  );
  t.match(suiteSection(measured, 'nbd'), '| copy, 1 MiB reads | 2.000 | 3.000 |');
  t.end();
});

t.test('tables and plot show every system', (t) => {
  const measured = [...turns('keyvol', 800, 900), ...turns('QEMU LUKS', 100, 100)];
  const section = suiteSection(measured, 'raw');
  t.match(section, `| ${job} | MB/s | 850 (800–900) | 100 |`);
  t.match(section, `| ${job} | 8.500 (8.000–9.000) |`);
  t.equal(suiteSection(measured, 'ext4'), '');
  const drawing = plot(measured);
  t.match(drawing, /^<svg .*<\/svg>\n$/s);
  t.match(drawing, job);
  t.equal(drawing.match(/<circle/g)?.length, 2, 'a dot, and one in the legend');
  t.end();
});
