/** Names of disks: the rule, and the nearest one to a name that nobody has. */
import { Fault } from '../fault.js';
import type { DiskKind } from './records.js';

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Throws INVALID_NAME with the rule. Ids are UUIDs, so a name shaped like one could be taken for an id. */
export function assertDiskName(kind: DiskKind, name: string): void {
  const what = `${kind} name ${JSON.stringify(name.slice(0, 80))}`;
  if (!namePattern.test(name)) {
    throw new Fault('INVALID_NAME', `${what} is not 1 to 64 of A-Z a-z 0-9 . _ -`, {
      hint: 'begin with a letter or a digit, for example "db-1"',
    });
  }
  if (uuidPattern.test(name)) {
    throw new Fault('INVALID_NAME', `${what} looks like an id`, {
      hint: 'choose a name that is not shaped like a UUID',
    });
  }
}

/** Splits "V@SNAP"; throws INVALID_NAME when it is not of that shape. */
export function splitSnapshotName(text: string): { volume: string; snapshot: string } {
  const at = text.indexOf('@');
  if (at <= 0 || at === text.length - 1) {
    throw new Fault('INVALID_NAME', `${JSON.stringify(text)} is not of the form VOLUME@SNAPSHOT`, {
      hint: 'name the volume and the snapshot, for example db@monday',
    });
  }
  return { volume: text.slice(0, at), snapshot: text.slice(at + 1) };
}

/** The existing name that is at most two edits away from `name`, if there is one. */
export function nearMiss(name: string, existing: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of existing) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance < Math.max(name.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, row by row. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      const deletion = (previous[column] ?? 0) + 1;
      const insertion = (current[column - 1] ?? 0) + 1;
      current.push(Math.min(substitution, deletion, insertion));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
