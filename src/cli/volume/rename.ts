import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function volumeRenameCommand(cli: CliContext): Command {
  return declare('rename', {
    description: 'give a volume another name',
    example: 'keyvol volume rename db shop-db',
    statuses: [3, 5, 6],
  })
    .argument('<volume>', 'volume name or id')
    .argument('<name>', 'its new name')
    .action(async (volume: string, name: string) => {
      const daemon = await cli.connect();
      const view = await daemon.renameVolume(volume, name);
      cli.print(view, () => `renamed volume ${volume} to ${view.name}`);
    });
}
