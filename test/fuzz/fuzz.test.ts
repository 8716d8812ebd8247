/**
 * libFuzzer on what reads bytes that an attacker may have written: container headers, tokens,
 * wrapped keys, FUSE requests, under ASan and UBSan, with checksums and tags made right, each for
 * KEYVOL_FUZZ_SECONDS. libFuzzer prints what it finds, the input in Base64: decode it into a file,
 * and give that to build-address/fuzz/TARGET.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { makeInstrumented } from '../support/instrumented.js';
import { tempDirectory } from '../support/temp.js';

const seconds = Number(process.env.KEYVOL_FUZZ_SECONDS ?? '60');
const pairs = [
  ['fuse_requests', 'header'],
  ['token', 'wrapped'],
] as const;
const longestInput = 4096;

interface FuzzRun {
  readonly status: unknown;
  readonly output: string;
}

async function fuzz(
  program: string,
  target: string,
  directory: string,
  atMostSeconds = seconds,
): Promise<FuzzRun> {
  const corpus = join(directory, `${target}-corpus`);
  mkdirSync(corpus);
  cpSync(join('fixtures/fuzz', target), corpus, { recursive: true });
  const limits = [`-max_total_time=${atMostSeconds}`, `-max_len=${longestInput}`, '-timeout=60'];
  const places = [`-artifact_prefix=${directory}/${target}-`, corpus];
  const child = spawn(resolve(program), [...limits, ...places], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: directory },
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [status] = (await once(child, 'close')) as unknown[];
  return { status, output };
}

t.jobs = 2;
t.before(async () => {
  await makeInstrumented('address', 'fuzz');
  await makeInstrumented('address', 'build-address/planted/header', 'PLANTED=1');
});

t.test('a planted overflow is found', { timeout: 0, buffered: true }, async (t) => {
  const enough = 600; // it takes some seconds
  const run = await fuzz('build-address/planted/header', 'header', tempDirectory(t), enough);
  t.not(run.status, 0);
  t.match(run.output, /AddressSanitizer: heap-buffer-overflow/);
});

for (const pair of pairs) {
  t.test(
    `${pair.join(' and ')} for ${seconds} s each`,
    { timeout: 0, buffered: true },
    async (t) => {
      const directory = tempDirectory(t);
      const runs = pair.map(async (target) => ({
        target,
        ...(await fuzz(`build-address/fuzz/${target}`, target, directory)),
      }));
      for (const { target, status, output } of await Promise.all(runs)) {
        t.equal(status, 0, `${target} finds nothing: ${status === 0 ? '' : output.slice(-6000)}`);
        const done = /Done (\d+) runs/.exec(output)?.[1];
        t.ok(Number(done) > 10, `${target} ran ${done} inputs`);
      }
    },
  );
}
