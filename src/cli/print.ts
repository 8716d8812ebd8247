/** How results look: tables and fields for people, JSON for programs. */

/** Rows under their headings, columns aligned by two spaces; numbers are the caller's to align. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [headings, ...rows].map((row) => padded(row, widths)).join('\n');
}

function padded(cells: readonly string[], widths: readonly number[]): string {
  const columns = cells.map((cell, column) => shown(cell).padEnd(widths[column] ?? 0));
  return columns.join('  ').trimEnd();
}

/** "field: value" lines with the values aligned; a field whose value is undefined is left out. */
export function fields(entries: readonly (readonly [string, string | undefined])[]): string {
  const present = entries.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...present.map(([name]) => name.length)) + 2;
  return present
    .map(([name, value]) => `${`${name}:`.padEnd(width)}${shown(value ?? '')}`.trimEnd())
    .join('\n');
}

// An empty cell would make columns hard to tell apart.
function shown(cell: string): string {
  return cell === '' ? '-' : cell;
}

/** Local time in ISO 8601 with its offset, to the second: 2026-11-25T02:10:05+01:00. */
export function localTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const offsetMinutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offsetMinutes * 60_000).toISOString().slice(0, 19);
  return `${local}${offsetText(offsetMinutes)}`;
}

function offsetText(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'Z';
  const sign = offsetMinutes < 0 ? '-' : '+';
  const minutes = Math.abs(offsetMinutes);
  const twoDigits = (value: number) => String(value).padStart(2, '0');
  return `${sign}${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}`;
}

/** The view as it came over the wire. */
export function json(view: unknown): string {
  return JSON.stringify(view ?? null, null, 2);
}

/** "1 disk", "2 disks". */
export function counted(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}
