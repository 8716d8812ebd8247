import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function imageUnmountCommand(cli: CliContext): Command {
  return declare('unmount', {
    description: 'take the filesystem of an image off its directory; undoes what mount did',
    example: 'keyvol image unmount debian',
    aliases: ['umount'],
    statuses: [3, 5, 6, 8],
  })
    .argument('<image>', 'image name or id')
    .action(async (image: string) => {
      const daemon = await cli.connect();
      const view = await daemon.unmountImage(image);
      cli.print(view, () => `unmounted image ${view.name}`);
    });
}
