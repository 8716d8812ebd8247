/** Starts the holder, the small program that keeps the FUSE mount when a daemon ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Fault } from '../fault.js';

const program = fileURLToPath(new URL('../../build/Release/keyvol-holder', import.meta.url));
const readyWithinMs = 5000;

export interface HolderSettings {
  /** Where it listens; what a dead one left there is replaced. */
  readonly socketPath: string;
  /** How long it keeps the mount without a daemon. */
  readonly timeoutSeconds: number;
}

/** Resolves when it listens. It outlives this process. Throws INTERNAL, with what it said. */
export async function startHolder({ socketPath, timeoutSeconds }: HolderSettings): Promise<void> {
  const child = spawn(program, [socketPath, String(timeoutSeconds)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const signal = AbortSignal.timeout(readyWithinMs);
  try {
    // Its output ends when it ends, and it writes one line there.
    await Promise.race([
      once(child.stdout, 'data', { signal }),
      once(child, 'close', { signal }).then(() => Promise.reject(new Error('it ended'))),
    ]);
  } catch (cause) {
    child.kill('SIGKILL');
    const why = Buffer.concat(said).toString().trim();
    throw new Fault('INTERNAL', `the holder of the mount does not start: ${why || String(cause)}`, {
      cause,
    });
  } finally {
    child.unref();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
