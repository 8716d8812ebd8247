import type { Command } from 'commander';
import type { KeyChangeView } from '../../api/types.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { warnIfUnrecorded } from './change.js';

export function keyCancelDeletionCommand(cli: CliContext): Command {
  return declare('cancel-deletion', {
    description: 'keep a key after all; it is disabled until someone enables it',
    example: 'keyvol key cancel-deletion app-db',
    statuses: [3, 5, 6],
  })
    .argument('<key>', 'key name or id')
    .action(async (key: string) => {
      const daemon = await cli.connect();
      const change = await daemon.cancelKeyDeletion(key);
      cli.print(change, cancelledLines);
      warnIfUnrecorded(cli, change);
    });
}

function cancelledLines({ key }: KeyChangeView): string {
  const next = key.state === 'disabled' ? `; use "keyvol key enable ${key.name}" to use it` : '';
  return `cancelled the deletion of key ${key.name}, now ${key.state}${next}`;
}
