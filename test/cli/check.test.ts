// A check is used in scripts: what it found is its status, and what it says is for people or JSON.
import t from 'tap';
import type { CheckView, FindingView } from '../../dist/api/check-types.js';
import { checkView } from '../support/example-views.js';
import { fakeApi } from '../support/fake-api.js';
import { runCli, type CliResult } from '../support/run-cli.js';
import type { Teardown } from '../support/temp.js';

const finding: FindingView = {
  kind: 'header-copy-damaged',
  severity: 'damage',
  message: 'the first of the two header copies of /x.luks is damaged',
  cure: 'keyvol volume check db --repair',
  repaired: false,
};

async function run(
  t: Teardown,
  view: Partial<CheckView>,
  ...options: string[]
): Promise<CliResult> {
  const { runtimeDir } = await fakeApi(t, () => ({ body: { ...checkView, ...view } }));
  return runCli(['volume', 'check', 'db', ...options], { runtimeDir });
}

t.test('a whole disk: a table, a line, status 0', async (t) => {
  const data = { read: 4096, failed: 0 };
  const { status, stdout, stderr } = await run(t, { data, remarks: ['a'] }, '--read-data');
  t.equal(status, 0);
  const [heading, layer, summary] = stdout.split('\n');
  t.match(heading, /^LAYER +SIZE +VISIBLE +KEY +FINDINGS$/);
  t.match(layer, /^9d1f\S+ +10 GiB +10 GiB +right +none$/);
  t.equal(summary, 'volume db: no damage, 1 layer, 4 KiB read');
  t.match(stderr, /^keyvol: of other disks: a$/m);
});

t.test('damage: each with its cure, status 8', async (t) => {
  const view = { clean: false, findings: [finding] };
  const { status, stdout, stderr } = await run(t, view, '--read-data');
  t.equal(status, 8);
  t.match(stdout, /^damage \(header-copy-damaged\): the first .* is damaged\n {2}cure: keyvol/m);
  t.match(stdout, /^volume db: damaged, 1 layer$/m);
  t.match(stderr, /^keyvol: warning: db cannot be opened: no data were read$/m);
  t.match(stderr, /^keyvol: error: volume db: damage found \(1\)$/m);
  t.match(stderr, /^hint: keyvol volume check db --repair$/m);
});

t.test('damage that was repaired, and notes: status 0', async (t) => {
  const note: FindingView = { ...finding, kind: 'container-mode', severity: 'note' };
  const findings = [{ ...finding, repaired: true }, note];
  const { status, stdout } = await run(t, { findings }, '--repair');
  t.equal(status, 0);
  t.match(stdout, /^repaired \(header-copy-damaged\): /m);
  t.match(stdout, /^note \(container-mode\): /m);
  t.match(stdout, /^volume db: no damage left, 1 layer, 1 repaired$/m);
});

t.test('--json is the view, whatever was found', async (t) => {
  const view = { clean: false, findings: [finding], key_unusable: 'key app is disabled' };
  const { status, stdout } = await run(t, view, '--json');
  t.equal(status, 8);
  t.strictSame(JSON.parse(stdout), { ...checkView, ...view });
});
