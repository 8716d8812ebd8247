import type { Command } from 'commander';
import type { StatusView, UnwellView } from '../api/types.js';
import type { CliContext } from './context.js';
import { declare } from './declare.js';
import { counted, fields, localTime } from './print.js';

export function statusCommand(cli: CliContext): Command {
  return declare('status', {
    description: 'show the daemon and what it holds',
    example: 'keyvol status',
    statuses: [5],
  }).action(async () => {
    const daemon = await cli.connect();
    cli.print(await daemon.status(), statusFields);
  });
}

export function statusFields(status: StatusView): string {
  const lines = fields([
    ['daemon', `keyvold ${status.version}, pid ${String(status.pid)}`],
    ['started', localTime(status.started_at)],
    ['state dir', status.state_dir],
    ['runtime dir', status.runtime_dir],
    ['fuse driver', status.fuse_driver],
    ['nbd', status.nbd.join(', ')],
    ['cipher', `aes-256-xts by ${status.xts_kernel}`],
    ['secret memory', status.secret_memory],
    ['keys', String(status.keys)],
    ['volumes', String(status.volumes)],
    ['images', String(status.images)],
    ['snapshots', String(status.snapshots)],
    ['attached', `${counted(status.attached, 'disk')}, ${String(status.mounted)} mounted`],
  ]);
  return [
    lines,
    ...section('health:', status.unwell.flatMap(unwellLines)),
    ...section('at start:', status.recovery),
  ].join('\n');
}

function unwellLines({ kind, name, state, reason, cure }: UnwellView): string[] {
  return [
    `${kind} ${name} ${state}: ${reason ?? 'unknown'}`,
    ...(cure === undefined ? [] : [`  cure: ${cure}`]),
  ];
}

function section(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [heading, ...lines.map((line) => `  ${line}`)];
}
