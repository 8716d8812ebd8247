import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare, yesOption } from '../declare.js';
import { deletedLine } from '../views.js';

export function volumeDeleteCommand(cli: CliContext): Command {
  return declare('delete', {
    description: 'delete a volume and its data',
    example: 'keyvol volume delete db',
    aliases: ['rm'],
    statuses: [3, 5, 6, 8],
  })
    .argument('<volume>', 'volume name or id')
    .addOption(yesOption())
    .action(async (volume: string, options: { yes?: true }) => {
      await cli.confirm(`delete volume ${volume} and its data?`, options);
      const daemon = await cli.connect();
      cli.print(await daemon.deleteVolume(volume), (view) => deletedLine('volume', view));
    });
}
