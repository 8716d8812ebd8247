import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { cacheOption, declare, nbdOption, shownAs, type ShowOptions } from '../declare.js';
import { attachedLine } from '../views.js';

export function volumeAttachCommand(cli: CliContext): Command {
  return declare('attach', {
    description: 'make a volume reachable as a file, or over NBD',
    example:
      'keyvol volume attach db\n' +
      'qemu-img info $(keyvol volume attach db --nbd --json | jq -r .attachment.uri)',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<volume>', 'volume name or id')
    .option('--read-only', 'refuse writes')
    .addOption(cacheOption())
    .addOption(nbdOption())
    .action(async (volume: string, { readOnly, ...show }: ShowOptions & { readOnly?: true }) => {
      const daemon = await cli.connect();
      const options = { ...(readOnly ? { read_only: true } : {}), ...shownAs(show) };
      cli.print(await daemon.attachVolume(volume, options), attachedLine);
    });
}
