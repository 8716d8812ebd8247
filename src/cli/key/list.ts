import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { keyTable } from '../views.js';

export function keyListCommand(cli: CliContext): Command {
  return declare('list', {
    description: 'list the master keys and their states',
    example: 'keyvol key list',
    aliases: ['ls'],
    statuses: [5],
  }).action(async () => {
    const daemon = await cli.connect();
    cli.print(await daemon.listKeys(), keyTable);
  });
}
