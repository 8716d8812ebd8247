import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function volumeDetachCommand(cli: CliContext): Command {
  return declare('detach', {
    description: 'stop a volume from being reachable, with all its data written',
    example: 'keyvol volume detach db',
    statuses: [3, 5, 6, 8],
  })
    .argument('<volume>', 'volume name or id')
    .option('--force', 'even if something has it open')
    .action(async (volume: string, options: { force?: true }) => {
      const daemon = await cli.connect();
      const view = await daemon.detachVolume(volume, options);
      cli.print(view, () => `detached volume ${view.name}`);
    });
}
