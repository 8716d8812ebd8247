import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function imageRenameCommand(cli: CliContext): Command {
  return declare('rename', {
    description: 'give an image another name',
    example: 'keyvol image rename debian debian-12',
    statuses: [3, 5, 6],
  })
    .argument('<image>', 'image name or id')
    .argument('<name>', 'its new name')
    .action(async (image: string, name: string) => {
      const daemon = await cli.connect();
      const view = await daemon.renameImage(image, name);
      cli.print(view, () => `renamed image ${image} to ${view.name}`);
    });
}
