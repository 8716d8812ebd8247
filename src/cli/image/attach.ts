import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { cacheOption, declare, nbdOption, shownAs, type ShowOptions } from '../declare.js';
import { attachedLine } from '../views.js';

export function imageAttachCommand(cli: CliContext): Command {
  return declare('attach', {
    description: 'make an image reachable as a read-only file, or over NBD',
    example: 'keyvol image attach debian',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<image>', 'image name or id')
    .addOption(cacheOption())
    .addOption(nbdOption())
    .action(async (image: string, show: ShowOptions) => {
      const daemon = await cli.connect();
      cli.print(await daemon.attachImage(image, shownAs(show)), attachedLine);
    });
}
