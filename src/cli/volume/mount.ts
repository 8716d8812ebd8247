import { Option, type Command } from 'commander';
import { absolute, type CliContext } from '../context.js';
import { declare } from '../declare.js';
import { mountedLine } from '../views.js';

interface Options {
  mkfs?: string;
  readOnly?: true;
}

export function volumeMountCommand(cli: CliContext): Command {
  return declare('mount', {
    description: 'put the filesystem of a volume on a directory, attaching it if need be',
    example: 'keyvol volume mount db /mnt/db --mkfs ext4',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<volume>', 'volume name or id')
    .argument('<directory>', 'where to mount it')
    .addOption(
      new Option('--mkfs <type>', 'make this filesystem first, on an empty volume').choices([
        'ext4',
        'xfs',
        'btrfs',
      ]),
    )
    .option('--read-only', 'refuse writes')
    .action(async (volume: string, directory: string, { mkfs, readOnly }: Options) => {
      const daemon = await cli.connect();
      const options = {
        directory: absolute(directory),
        ...(mkfs === undefined ? {} : { mkfs }),
        ...(readOnly ? { read_only: true } : {}),
      };
      cli.print(await daemon.mountVolume(volume, options), mountedLine);
    });
}
