import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

export function keyRenameCommand(cli: CliContext): Command {
  return declare('rename', {
    description: 'give a key another name',
    example: 'keyvol key rename app-db shop-db',
    statuses: [3, 4, 5, 6],
  })
    .argument('<key>', 'key name or id')
    .argument('<name>', 'its new name')
    .action(async (key: string, name: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.renameKey(key, name), (view) => `renamed key ${key} to ${view.name}`);
    });
}
