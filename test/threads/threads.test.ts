/** Native code under many threads at once, built with the sanitizers that see what goes wrong. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { makeInstrumented } from '../support/instrumented.js';

const programs = [
  'gate',
  'headers',
  'kernels',
  'layer_stack',
  'mapped_file',
  'nbd',
  'secrets',
  'sectors',
] as const;
/** Of programs that end in a second or two: one that hangs is ended, and fails. */
const timeout = 300_000;

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

function run(kind: string, program: string): Ran {
  const env = {
    ...process.env,
    // The deadlock detector of this TSan spins for ever under many read locks.
    TSAN_OPTIONS: 'detect_deadlocks=0',
    ASAN_OPTIONS: 'detect_leaks=1',
  };
  const { status, stdout, stderr } = spawnSync(`build-${kind}/threads/${program}`, {
    env,
    timeout,
    encoding: 'utf8',
  });
  return { status, output: `${stdout}${stderr}` };
}

for (const [kind, sees] of [
  ['address', 'ASan, UBSan and LSan'],
  ['thread', 'TSan'],
] as const) {
  t.test(`threads under ${sees}`, { timeout: 0 }, async (t) => {
    await makeInstrumented(kind, 'threads');
    for (const program of programs) {
      const { status, output } = run(kind, program);
      t.equal(status, 0, `${program}: ${status === 0 ? '' : output}`);
    }
  });
}

t.test('planted faults are seen', { timeout: 0 }, async (t) => {
  for (const [kind, fault, says] of [
    ['address', 'leak', /LeakSanitizer: detected memory leaks/],
    ['address', 'overflow', /AddressSanitizer: heap-buffer-overflow/],
    ['address', 'undefined', /runtime error: signed integer overflow/],
    ['thread', 'race', /ThreadSanitizer: data race/],
  ] as const) {
    await makeInstrumented(kind, `build-${kind}/threads/planted`);
    process.env.KEYVOL_PLANTED = fault;
    const { status, output } = run(kind, 'planted');
    t.not(status, 0, `${fault} fails the program`);
    t.match(output, says);
  }
});
