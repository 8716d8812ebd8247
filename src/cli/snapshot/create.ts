import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { createdLine } from '../views.js';
import { snapshotName } from '../values.js';

export function snapshotCreateCommand(cli: CliContext): Command {
  return declare('create', {
    description: 'keep a volume as it is now, also while it is in use',
    example: 'keyvol snapshot create db@monday',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<snapshot>', 'VOLUME@NAME', snapshotName)
    .action(async (snapshot: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.createSnapshot(snapshot), createdLine);
    });
}
