import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { statusFields } from '../status.js';

export function daemonStatusCommand(cli: CliContext): Command {
  return declare('status', {
    description: 'show whether keyvold runs, and what it holds',
    example: 'keyvol daemon status',
    statuses: [5],
  }).action(async () => {
    const daemon = await cli.connect();
    cli.print(await daemon.status(), statusFields);
  });
}
