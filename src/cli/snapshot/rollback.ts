import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare, yesOption } from '../declare.js';
import { snapshotName } from '../values.js';

export function snapshotRollbackCommand(cli: CliContext): Command {
  return declare('rollback', {
    description: 'take a volume back to a snapshot; what was written since is lost',
    example: 'keyvol snapshot rollback db@monday',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<snapshot>', 'VOLUME@NAME', snapshotName)
    .addOption(yesOption())
    .action(async (snapshot: string, options: { yes?: true }) => {
      await cli.confirm(`lose all that was written since ${snapshot}?`, options);
      const daemon = await cli.connect();
      const view = await daemon.rollbackSnapshot(snapshot);
      cli.print(view, () => `rolled back to ${snapshot}`);
    });
}
