import type { Command } from 'commander';
import { Fault } from '../../fault.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { releaseHolder, statusOf, waitForEnd } from './process.js';

const stopTimeoutMs = 15_000;

export function daemonStopCommand(cli: CliContext): Command {
  return declare('stop', {
    description: 'unmount and detach every disk, and stop keyvold',
    example: 'keyvol daemon stop',
    statuses: [5, 6, 8],
  }).action(async () => {
    const pid = await stopDaemon(cli);
    if (pid !== undefined) {
      cli.print({ stopped: true, pid }, () => `stopped keyvold, pid ${String(pid)}`);
      return;
    }
    const released = releaseHolder(await cli.directories());
    cli.print({ stopped: false }, () =>
      released ? 'keyvold was not running; unmounted what it had left' : 'keyvold is not running',
    );
  });
}

/** Stops the daemon and waits for its end. Answers its pid, undefined if none ran. Throws BUSY. */
export async function stopDaemon(cli: CliContext, keepMounts = false): Promise<number | undefined> {
  const daemon = await cli.connect();
  const running = await statusOf(daemon);
  if (running === undefined) return undefined;
  await daemon.shutdown({ keep_mounts: keepMounts });
  if (await waitForEnd(running.pid, stopTimeoutMs)) return running.pid;
  const waited = `${String(stopTimeoutMs / 1000)} s`;
  throw new Fault('BUSY', `keyvold, pid ${String(running.pid)}, has not stopped after ${waited}`, {
    hint: 'keyvol daemon logs',
  });
}
