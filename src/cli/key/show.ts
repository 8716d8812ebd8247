import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { keyFields } from '../views.js';

export function keyShowCommand(cli: CliContext): Command {
  return declare('show', {
    description: 'show one master key',
    example: 'keyvol key show app-db',
    statuses: [3, 5],
  })
    .argument('<key>', 'key name or id')
    .action(async (key: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.showKey(key), keyFields);
    });
}
