import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { diskFields } from '../views.js';

export function volumeShowCommand(cli: CliContext): Command {
  return declare('show', {
    description: 'show one volume',
    example: 'keyvol volume show db',
    statuses: [3, 5],
  })
    .argument('<volume>', 'volume name or id')
    .action(async (volume: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.showVolume(volume), diskFields);
    });
}
