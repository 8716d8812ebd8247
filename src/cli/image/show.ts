import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { diskFields } from '../views.js';

export function imageShowCommand(cli: CliContext): Command {
  return declare('show', {
    description: 'show one image',
    example: 'keyvol image show debian',
    statuses: [3, 5],
  })
    .argument('<image>', 'image name or id')
    .action(async (image: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.showImage(image), diskFields);
    });
}
