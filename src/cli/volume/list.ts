import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { diskTable } from '../views.js';

export function volumeListCommand(cli: CliContext): Command {
  return declare('list', {
    description: 'list the volumes, their space, their keys, and where they are attached',
    example: 'keyvol volume list',
    aliases: ['ls'],
    statuses: [5],
  }).action(async () => {
    const daemon = await cli.connect();
    cli.print(await daemon.listVolumes(), diskTable);
  });
}
