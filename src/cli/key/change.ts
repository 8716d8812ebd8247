/** What a key's change of state did, and beforehand what it will do, to the disks under it. */
import { Option } from 'commander';
import type {
  DaemonClient,
  DiskChangeView,
  ImpactView,
  KeyChangeView,
  KeyLossRequest,
} from '../../api/types.js';
import type { CliContext } from '../context.js';
import { counted, localTime, table } from '../print.js';

const outcomes: Record<DiskChangeView['outcome'], string> = {
  closed: 'closed',
  'closed-unflushed': 'closed with unflushed data',
  'kept-until-detach': 'goes on until it is detached',
  reopened: 'reopened',
  'reopen-failed': 'could not be reopened',
  lost: 'lost for ever',
};

export interface KillUsers {
  killUsers?: true;
}

export function killUsersOption(): Option {
  return new Option(
    '--kill-users',
    'kill the programs that have files of its mounted disks mapped: they could still read them',
  );
}

export function lossOf({ killUsers }: KillUsers): KeyLossRequest {
  return killUsers === undefined ? {} : { kill_users: killUsers };
}

/** One line for each disk that changed. */
export function diskLines(change: KeyChangeView): string[] {
  return change.disks.map((disk) => {
    const took = changesAGate(disk) ? ` after ${milliseconds(disk.took_ms)}` : '';
    const detail = disk.detail === undefined ? '' : `: ${disk.detail}`;
    return `  ${disk.kind} ${disk.disk}: ${outcomes[disk.outcome]}${took}${detail}`;
  });
}

function changesAGate({ outcome }: DiskChangeView): boolean {
  return outcome.startsWith('closed') || outcome === 'reopened';
}

/** "12 ms" */
export function milliseconds(duration: number): string {
  return `${String(Math.round(duration))} ms`;
}

/**
 * "disabled key app-db: 2 disks cut off in 12 ms", what became of each disk, and when it was of
 * which key: what is needed to file it as proof.
 */
export function cutOffLines(done: string, change: KeyChangeView): string {
  const cutOff = change.disks.filter((disk) => disk.outcome.startsWith('closed')).length;
  const took = `${counted(cutOff, 'disk')} cut off in ${milliseconds(change.took_ms)}`;
  const proof = `  at ${localTime(new Date().toISOString())}, key id ${change.key.id}`;
  return [`${done}: ${took}`, ...diskLines(change), proof].join('\n');
}

/** The gates are closed, but a restart may not know: that must not go unsaid. */
export function warnIfUnrecorded(cli: CliContext, change: KeyChangeView): void {
  if (change.unrecorded !== undefined) cli.warn(`not recorded: ${change.unrecorded}`);
}

/** Shows on stderr which disks need the key, when someone may read it. Answers undefined if not. */
export async function tellImpact(
  cli: CliContext,
  daemon: DaemonClient,
  key: string,
): Promise<ImpactView | undefined> {
  if (cli.json && !process.stderr.isTTY) return undefined;
  const impact = await daemon.keyImpact(key);
  if (impact.disks.length > 0) cli.tell(impactLines(impact));
  return impact;
}

/** "key app-db is needed by 1 volume, 2 images:" and the disks. */
export function impactLines(impact: ImpactView): string {
  const { key, disks } = impact;
  if (disks.length === 0) return `key ${key.name} is needed by no disk`;
  const kinds = (['volume', 'image', 'snapshot'] as const)
    .map((kind) => ({ kind, count: disks.filter((disk) => disk.kind === kind).length }))
    .filter(({ count }) => count > 0)
    .map(({ kind, count }) => counted(count, kind));
  const rows = disks.map((disk) => [
    `  ${disk.kind}`,
    disk.name,
    disk.state,
    disk.mounted_at ?? (disk.attached ? 'attached' : 'not attached'),
  ]);
  const list = table(['  KIND', 'NAME', 'STATE', 'ATTACHED'], rows);
  return `key ${key.name} is needed by ${kinds.join(', ')}\n${list}`;
}
