/** What a key may be called. */
import { Fault } from '../fault.js';

const aliasPattern = /^[A-Za-z0-9:/_-]{1,255}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const maxDescriptionLength = 255;

export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** Throws INVALID_NAME unless a user may give a key this name. */
export function assertAlias(alias: string): void {
  if (!aliasPattern.test(alias)) {
    throw invalidName(alias, 'has 1 to 255 letters, digits, ":", "/", "_" and "-"');
  }
  if (alias.endsWith('/default')) {
    throw invalidName(alias, 'does not end in "/default", which is for keys of the services');
  }
  if (isUuid(alias)) throw invalidName(alias, 'does not look like a key id');
}

function invalidName(alias: string, rule: string): Fault {
  const shown = JSON.stringify(alias.slice(0, 60));
  return new Fault('INVALID_NAME', `${shown} cannot be a key name`, { hint: `a key name ${rule}` });
}

/** Throws INVALID_ARGUMENT for more than 255 characters or control characters. */
export function assertDescription(description: string): void {
  if (description.length > maxDescriptionLength) {
    throw new Fault(
      'INVALID_ARGUMENT',
      `a key description has at most ${maxDescriptionLength} characters, not ${description.length}`,
    );
  }
  if (/\p{Cc}/u.test(description)) {
    throw new Fault('INVALID_ARGUMENT', 'a key description has no control characters');
  }
}

/** The name that was probably meant: at most two letters away, or other case; or undefined. */
export function nearestName(wanted: string, names: readonly string[]): string | undefined {
  const near = names
    .map((name) => ({ name, distance: editDistance(wanted.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= 2 && distance < name.length / 2)
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.name;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 0; index < from.length; index++) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (from[index] === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
