import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare, yesOption } from '../declare.js';
import { deletedLine } from '../views.js';
import { snapshotName } from '../values.js';

export function snapshotDeleteCommand(cli: CliContext): Command {
  return declare('delete', {
    description: 'delete a snapshot; volumes and images made from it stay',
    example: 'keyvol snapshot delete db@monday',
    aliases: ['rm'],
    statuses: [3, 5, 6, 8],
  })
    .argument('<snapshot>', 'VOLUME@NAME', snapshotName)
    .addOption(yesOption())
    .action(async (snapshot: string, options: { yes?: true }) => {
      await cli.confirm(`delete snapshot ${snapshot}?`, options);
      const daemon = await cli.connect();
      cli.print(await daemon.deleteSnapshot(snapshot), (view) => deletedLine('snapshot', view));
    });
}
