import type { Command } from 'commander';
import { checkDisk, declareCheck, type CheckOptions } from '../check.js';
import type { CliContext } from '../context.js';

export function imageCheckCommand(cli: CliContext): Command {
  return declareCheck({
    description: 'see whether an image is whole: containers, headers, keys, and data if asked',
    example: 'keyvol image check debian\nkeyvol image check debian --read-data',
  })
    .argument('<image>', 'image name or id')
    .action(async (image: string, options: CheckOptions) => {
      const daemon = await cli.connect();
      await checkDisk(cli, image, options, (...call) => daemon.checkImage(image, ...call));
    });
}
