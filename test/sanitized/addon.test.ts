/**
 * The tests of the addon once more, over an addon with clang's ASan and UBSan in it: no access out
 * of bounds or after its end, no undefined behaviour, whatever the tests ask for. Leaks are for
 * test/threads, where no Node keeps what the addon has given it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { makeInstrumented } from '../support/instrumented.js';
import { tempDirectory } from '../support/temp.js';

/** These hold the machine to deadlines, which it cannot keep when everything takes longer. */
const isTimed = /cut-off-deadline|operations/;
/** What is random in them takes longest. */
const operations = '2000';
const areas = ['native', 'disk'];
const runtime = execFileSync('clang-14', ['-print-file-name=libclang_rt.asan-x86_64.so'], {
  encoding: 'utf8',
}).trim();

/** A copy of what was built, with the other addon in its place. */
function makeTree(directory: string): void {
  for (const name of ['dist', 'build-test', 'package.json']) {
    cpSync(name, join(directory, name), { recursive: true });
  }
  for (const name of ['node_modules', 'fixtures', 'test', 'scripts', 'native']) {
    symlinkSync(resolve(name), join(directory, name));
  }
  mkdirSync(join(directory, 'build/Release'), { recursive: true });
  cpSync('build-address/keyvol.node', join(directory, 'build/Release/keyvol.node'));
}

async function run(
  directory: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly status: number | null; readonly output: string }> {
  const child = spawn(process.execPath, args, { cwd: directory, env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  await once(child, 'close');
  return { status: child.exitCode, output };
}

t.test('the addon under ASan and UBSan', { timeout: 0 }, async (t) => {
  await makeInstrumented('address', 'addon');
  const directory = tempDirectory(t);
  makeTree(directory);
  const load = ['-e', "require('./build/Release/keyvol.node')"];
  const bare = await run(directory, load, process.env);
  t.match(bare.output, /libclang_rt\.asan.*cannot open/, 'it is the instrumented one');
  const env = {
    ...process.env,
    LD_PRELOAD: runtime,
    ASAN_OPTIONS: 'detect_leaks=0',
    KEYVOL_MODEL_OPS: operations,
  };
  const files = areas.flatMap((area) =>
    readdirSync(`test/${area}`)
      .filter((name) => name.endsWith('.test.ts') && !isTimed.test(name))
      .map((name) => join('build-test', area, name.replace(/\.ts$/, '.js'))),
  );
  for (const file of files) {
    const { status, output } = await run(directory, [file], env);
    t.equal(status, 0, status === 0 ? file : `${file}: ${output.slice(-4000)}`);
  }
});
