import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { diskFields } from '../views.js';
import { snapshotName } from '../values.js';

export function snapshotShowCommand(cli: CliContext): Command {
  return declare('show', {
    description: 'show one snapshot',
    example: 'keyvol snapshot show db@monday',
    statuses: [3, 5],
  })
    .argument('<snapshot>', 'VOLUME@NAME', snapshotName)
    .action(async (snapshot: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.showSnapshot(snapshot), diskFields);
    });
}
