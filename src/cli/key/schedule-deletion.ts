import type { Command } from 'commander';
import type { ImpactView, KeyChangeView } from '../../api/types.js';
import { Fault } from '../../fault.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { counted, localTime } from '../print.js';
import { parseCount } from '../values.js';
import {
  cutOffLines,
  killUsersOption,
  lossOf,
  tellImpact,
  warnIfUnrecorded,
  type KillUsers,
} from './change.js';

interface Options extends KillUsers {
  days: number;
  confirm?: string;
}

export function keyScheduleDeletionCommand(cli: CliContext): Command {
  return declare('schedule-deletion', {
    description: 'delete a key after 7 to 1096 days, and with it all data under it',
    example: 'keyvol key schedule-deletion app-db --days 30 --confirm app-db',
    statuses: [3, 4, 5, 6],
  })
    .argument('<key>', 'key name or id')
    .requiredOption('--days <n>', 'days until then, in which it can be cancelled', parseCount)
    .option('--confirm <name>', "the key's name, needed when disks use it")
    .addOption(killUsersOption())
    .action(async (key: string, { days, confirm, ...users }: Options) => {
      const daemon = await cli.connect();
      const impact = await tellImpact(cli, daemon, key);
      const confirmed = confirm ?? (await askForName(cli, impact));
      const change = await daemon.scheduleKeyDeletion(key, days, confirmed, lossOf(users));
      cli.print(change, scheduledLines);
      warnIfUnrecorded(cli, change);
    });
}

async function askForName(
  cli: CliContext,
  impact: ImpactView | undefined,
): Promise<string | undefined> {
  if (impact === undefined || impact.disks.length === 0) return undefined;
  const { name } = impact.key;
  const typed = await cli.askFor(
    `their data will be lost; type the key's name (${name}) to go on:`,
  );
  if (typed !== undefined && typed !== name) {
    throw new Fault('CONFIRMATION_REQUIRED', `deletion of key ${name} is not confirmed`);
  }
  return typed;
}

function scheduledLines(change: KeyChangeView): string {
  const { name, deletion_at, deletion_days_left } = change.key;
  const days = deletion_days_left === undefined ? '' : ` in ${counted(deletion_days_left, 'day')}`;
  const date = deletion_at === undefined ? '' : `, not before ${localTime(deletion_at)}`;
  return cutOffLines(`key ${name} will be deleted${days}${date}`, change);
}
