import type { Command } from 'commander';
import type { OnKeyLoss } from '../../api/types.js';
import type { CliContext } from '../context.js';
import { declare, onKeyLossOption } from '../declare.js';

export function volumeSetCommand(cli: CliContext): Command {
  return declare('set', {
    description: 'change a setting of a volume',
    example: 'keyvol volume set db --on-key-loss until-detach',
    statuses: [3, 5, 6],
  })
    .argument('<volume>', 'volume name or id')
    .addOption(onKeyLossOption().makeOptionMandatory())
    .action(async (volume: string, { onKeyLoss }: { onKeyLoss: OnKeyLoss }) => {
      const daemon = await cli.connect();
      const view = await daemon.setVolume(volume, { on_key_loss: onKeyLoss });
      cli.print(view, () => `set on-key-loss of volume ${view.name} to ${onKeyLoss}`);
    });
}
