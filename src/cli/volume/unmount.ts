import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function volumeUnmountCommand(cli: CliContext): Command {
  return declare('unmount', {
    description: 'take the filesystem of a volume off its directory; undoes what mount did',
    example: 'keyvol volume unmount db',
    aliases: ['umount'],
    statuses: [3, 5, 6, 8],
  })
    .argument('<volume>', 'volume name or id')
    .action(async (volume: string) => {
      const daemon = await cli.connect();
      const view = await daemon.unmountVolume(volume);
      cli.print(view, () => `unmounted volume ${view.name}`);
    });
}
