import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function keyCreateCommand(cli: CliContext): Command {
  return declare('create', {
    description: 'make a master key, enabled',
    example: 'keyvol key create app-db --description "the shop\'s database"',
    statuses: [5, 6, 9],
  })
    .argument('<name>', 'name of the new key')
    .option('--description <text>', 'what it is for')
    .action(async (name: string, options: { description?: string }) => {
      const daemon = await cli.connect();
      const key = await daemon.createKey({ name, ...options });
      cli.print(key, () => `created key ${key.name} (${key.id})`);
    });
}
