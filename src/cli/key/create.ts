import { Option, type Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';

interface KeyCreateOptions {
  description?: string;
  origin?: 'kms' | 'external';
}

export function keyCreateCommand(cli: CliContext): Command {
  return declare('create', {
    description: 'make a master key: enabled, or pending import of its material',
    example: [
      'keyvol key create app-db --description "the shop\'s database"',
      'keyvol key create from-hsm --origin external',
    ].join('\n'),
    statuses: [5, 6, 9],
  })
    .argument('<name>', 'name of the new key')
    .option('--description <text>', 'what it is for')
    .addOption(
      new Option(
        '--origin <origin>',
        'who makes its material; "external" waits for import',
      ).choices(['kms', 'external']),
    )
    .action(async (name: string, options: KeyCreateOptions) => {
      const daemon = await cli.connect();
      const key = await daemon.createKey({ name, ...options });
      cli.print(key, () => `created key ${key.name} (${key.id}), ${key.state}`);
    });
}
