import type { Command } from 'commander';
import type { AuditView } from '../../api/types.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { localTime, table } from '../print.js';
import { parseCount } from '../values.js';

interface Options {
  limit?: number;
  since?: number;
}

export function auditListCommand(cli: CliContext): Command {
  return declare('list', {
    description: 'list what was done and what was refused, oldest first',
    example: 'keyvol audit list --limit 20',
    aliases: ['ls'],
    statuses: [5],
  })
    .option('--limit <n>', 'at most this many records, the newest', parseCount)
    .option('--since <sequence>', 'only records after this one', parseCount)
    .action(async ({ limit, since }: Options) => {
      const daemon = await cli.connect();
      const records = await daemon.listAudit({
        ...(limit === undefined ? {} : { limit }),
        ...(since === undefined ? {} : { since_sequence: since }),
      });
      cli.print(records, auditTable);
    });
}

function auditTable(records: readonly AuditView[]): string {
  return table(
    ['SEQUENCE', 'TIME', 'WHO', 'ACTION', 'RESOURCE', 'RESULT', 'DETAIL'],
    records.map((record) => [
      String(record.sequence),
      localTime(record.time),
      record.principal,
      record.action,
      record.resource,
      record.result,
      record.detail,
    ]),
  );
}
