import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { diskTable } from '../views.js';

export function imageListCommand(cli: CliContext): Command {
  return declare('list', {
    description: 'list the images, their space and their keys',
    example: 'keyvol image list',
    aliases: ['ls'],
    statuses: [5],
  }).action(async () => {
    const daemon = await cli.connect();
    cli.print(await daemon.listImages(), diskTable);
  });
}
