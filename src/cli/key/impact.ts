import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { impactLines } from './change.js';

export function keyImpactCommand(cli: CliContext): Command {
  return declare('impact', {
    description: 'show every volume, image and snapshot that needs a key',
    example: 'keyvol key impact app-db',
    statuses: [3, 5],
  })
    .argument('<key>', 'key name or id')
    .action(async (key: string) => {
      const daemon = await cli.connect();
      cli.print(await daemon.keyImpact(key), impactLines);
    });
}
