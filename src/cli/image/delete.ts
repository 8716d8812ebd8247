import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare, yesOption } from '../declare.js';
import { deletedLine } from '../views.js';

export function imageDeleteCommand(cli: CliContext): Command {
  return declare('delete', {
    description: 'delete an image; volumes made from it stay',
    example: 'keyvol image delete debian',
    aliases: ['rm'],
    statuses: [3, 5, 6, 8],
  })
    .argument('<image>', 'image name or id')
    .addOption(yesOption())
    .action(async (image: string, options: { yes?: true }) => {
      await cli.confirm(`delete image ${image}?`, options);
      const daemon = await cli.connect();
      cli.print(await daemon.deleteImage(image), (view) => deletedLine('image', view));
    });
}
