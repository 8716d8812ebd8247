import type { Command } from 'commander';
import type { KeyChangeView } from '../../api/types.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { counted } from '../print.js';
import { diskLines, milliseconds, warnIfUnrecorded } from './change.js';

export function keyEnableCommand(cli: CliContext): Command {
  return declare('enable', {
    description: 'let a disabled key be used again; attached disks go on where they were cut off',
    example: 'keyvol key enable app-db',
    statuses: [3, 4, 5, 6],
  })
    .argument('<key>', 'key name or id')
    .action(async (key: string) => {
      const daemon = await cli.connect();
      const change = await daemon.enableKey(key);
      cli.print(change, enabledLines);
      warnIfUnrecorded(cli, change);
    });
}

function enabledLines(change: KeyChangeView): string {
  const already = `key ${change.key.name} is already enabled`;
  if (!change.changed) return [already, ...diskLines(change)].join('\n');
  const reopened = change.disks.filter((disk) => disk.outcome === 'reopened').length;
  const took = `${counted(reopened, 'disk')} reopened in ${milliseconds(change.took_ms)}`;
  return [`enabled key ${change.key.name}: ${took}`, ...diskLines(change)].join('\n');
}
