import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import type { DaemonOptions } from './process.js';
import {
  fuseDriverOption,
  holderTimeoutOption,
  nbdListenOption,
  nbdTlsOption,
  startDaemon,
} from './start.js';
import { stopDaemon } from './stop.js';

export function daemonRestartCommand(cli: CliContext): Command {
  return declare('restart', {
    description: 'stop keyvold, if it runs, and start it; disks and mounts stay',
    example: 'keyvol daemon restart',
    statuses: [5, 6, 8, 9],
  })
    .addOption(fuseDriverOption())
    .addOption(holderTimeoutOption())
    .addOption(nbdListenOption())
    .addOption(nbdTlsOption())
    .action(async (options: DaemonOptions) => {
      await stopDaemon(cli, true);
      await startDaemon(cli, options);
    });
}
