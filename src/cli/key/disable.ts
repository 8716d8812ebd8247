import type { Command } from 'commander';
import type { KeyChangeView } from '../../api/types.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import {
  cutOffLines,
  killUsersOption,
  lossOf,
  tellImpact,
  warnIfUnrecorded,
  type KillUsers,
} from './change.js';

export function keyDisableCommand(cli: CliContext): Command {
  return declare('disable', {
    description: 'refuse every use of a key until it is enabled again; cuts attached disks off',
    example: 'keyvol key disable app-db',
    statuses: [3, 4, 5, 6],
  })
    .argument('<key>', 'key name or id')
    .addOption(killUsersOption())
    .action(async (key: string, options: KillUsers) => {
      const daemon = await cli.connect();
      await tellImpact(cli, daemon, key);
      const change = await daemon.disableKey(key, lossOf(options));
      cli.print(change, disabledLines);
      warnIfUnrecorded(cli, change);
    });
}

function disabledLines(change: KeyChangeView): string {
  if (!change.changed) return `key ${change.key.name} is already disabled`;
  return cutOffLines(`disabled key ${change.key.name}`, change);
}
