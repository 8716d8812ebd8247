import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { createdLine } from '../views.js';

export function volumeCloneCommand(cli: CliContext): Command {
  return declare('clone', {
    description: 'make a copy of a volume at once; both share what neither has rewritten',
    example: 'keyvol volume clone db db-test',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<volume>', 'volume name or id')
    .argument('<name>', 'name of the copy')
    .action(async (volume: string, name: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.cloneVolume(volume, name), createdLine);
    });
}
