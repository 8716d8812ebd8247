import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function keySetCommand(cli: CliContext): Command {
  return declare('set', {
    description: 'change the description of a key',
    example: 'keyvol key set app-db --description "the shop\'s database"',
    statuses: [3, 4, 5],
  })
    .argument('<key>', 'key name or id')
    .requiredOption('--description <text>', 'what it is for')
    .action(async (key: string, options: { description: string }) => {
      const daemon = await cli.connect();
      const view = await daemon.describeKey(key, options.description);
      cli.print(view, () => `changed the description of key ${view.name}`);
    });
}
