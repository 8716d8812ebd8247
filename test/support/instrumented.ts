/** Native code built once more with clang's sanitizers (scripts/instrumented.mk). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Makes `goals`; what is made already and unchanged is kept. Throws with what the compiler said. */
export async function makeInstrumented(
  kind: 'address' | 'thread',
  ...goals: readonly string[]
): Promise<void> {
  const args = ['-f', 'scripts/instrumented.mk', '-j2', `KIND=${kind}`, ...goals];
  await promisify(execFile)('make', args, { maxBuffer: 1 << 26 });
}
