import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import type { DaemonOptions } from './process.js';
import { fuseDriverOption, startDaemon } from './start.js';
import { stopDaemon } from './stop.js';

export function daemonRestartCommand(cli: CliContext): Command {
  return declare('restart', {
    description: 'stop keyvold, if it runs, and start it',
    example: 'keyvol daemon restart',
    statuses: [5, 6, 8, 9],
  })
    .addOption(fuseDriverOption())
    .action(async (options: DaemonOptions) => {
      await stopDaemon(cli);
      await startDaemon(cli, options);
    });
}
