import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function imageDetachCommand(cli: CliContext): Command {
  return declare('detach', {
    description: 'stop an image from being reachable',
    example: 'keyvol image detach debian',
    statuses: [3, 5, 6, 8],
  })
    .argument('<image>', 'image name or id')
    .option('--force', 'even if something has it open')
    .action(async (image: string, options: { force?: true }) => {
      const daemon = await cli.connect();
      const view = await daemon.detachImage(image, options);
      cli.print(view, () => `detached image ${view.name}`);
    });
}
