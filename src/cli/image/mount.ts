import type { Command } from 'commander';
import { absolute, type CliContext } from '../context.js';
import { declare } from '../declare.js';
import { mountedLine } from '../views.js';

export function imageMountCommand(cli: CliContext): Command {
  return declare('mount', {
    description: 'put the filesystem of an image on a directory, read-only',
    example: 'keyvol image mount debian /mnt/debian',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<image>', 'image name or id')
    .argument('<directory>', 'where to mount it')
    .action(async (image: string, directory: string) => {
      const daemon = await cli.connect();
      const options = { directory: absolute(directory) };
      cli.print(await daemon.mountImage(image, options), mountedLine);
    });
}
