import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { diskTable } from '../views.js';

export function snapshotListCommand(cli: CliContext): Command {
  return declare('list', {
    description: 'list the snapshots of all volumes, or of one',
    example: 'keyvol snapshot list db',
    aliases: ['ls'],
    statuses: [3, 5],
  })
    .argument('[volume]', 'volume name or id')
    .action(async (volume: string | undefined) => {
      const daemon = await cli.connect();
      cli.print(await daemon.listSnapshots(volume), diskTable);
    });
}
