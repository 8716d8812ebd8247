import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { createdLine } from '../views.js';

export function imageCopyCommand(cli: CliContext): Command {
  return declare('copy', {
    description: 'make an image of the same content under another key, encrypted anew',
    example: 'keyvol image copy debian debian-shop --key shop',
    statuses: [3, 4, 5, 6, 8, 9, 130],
  })
    .argument('<image>', 'image name or id')
    .argument('<name>', 'name of the new image')
    .requiredOption('--key <key>', "master key of the new image, not the image's own")
    .action(async (image: string, name: string, { key }: { key: string }) => {
      const daemon = await cli.connect();
      const reply = await cli.longCall(`copying ${image}`, (onProgress, signal) =>
        daemon.copyImage(image, { name, key }, onProgress, signal),
      );
      cli.print(reply, ({ created }) => createdLine(created));
    });
}
