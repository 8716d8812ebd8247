import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { cacheOption, declare, type CacheOption } from '../declare.js';
import { attachedLine } from '../views.js';

export function volumeAttachCommand(cli: CliContext): Command {
  return declare('attach', {
    description: 'make a volume reachable as a file',
    example: 'keyvol volume attach db',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<volume>', 'volume name or id')
    .option('--read-only', 'refuse writes')
    .addOption(cacheOption())
    .action(async (volume: string, { readOnly, cache }: CacheOption & { readOnly?: true }) => {
      const daemon = await cli.connect();
      const options = { ...(readOnly ? { read_only: true } : {}), ...(cache ? { cache } : {}) };
      cli.print(await daemon.attachVolume(volume, options), attachedLine);
    });
}
