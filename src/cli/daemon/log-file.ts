/** The log that a detached daemon appends to. */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { Fault } from '../../fault.js';
import { localTime } from '../print.js';

const tailBytes = 1 << 20;

export function logFileOf(stateDir: string): string {
  return path.join(stateDir, 'log', 'keyvold.log');
}

/** What was appended since `fromBytes`, and where the file ends now; all of it if it was cut. */
export function readSince(file: string, fromBytes: number): { text: string; endBytes: number } {
  if (!existsSync(file)) return { text: '', endBytes: 0 };
  const fd = openSync(file, 'r');
  try {
    const endBytes = fstatSync(fd).size;
    const startBytes = fromBytes <= endBytes ? fromBytes : 0;
    const buffer = Buffer.alloc(endBytes - startBytes);
    const read = readSync(fd, buffer, 0, buffer.length, startBytes);
    return { text: buffer.toString('utf8', 0, read), endBytes: startBytes + read };
  } finally {
    closeSync(fd);
  }
}

/** The last `count` lines, of the last MiB at most. Throws FILE_NOT_FOUND. */
export function lastLines(file: string, count: number): { lines: string[]; endBytes: number } {
  if (!isThere(file)) {
    throw new Fault('FILE_NOT_FOUND', `there is no log ${file}`, {
      hint: 'the daemon writes it when "keyvol daemon start" starts it',
    });
  }
  const { size } = statSync(file);
  const { text, endBytes } = readSince(file, Math.max(0, size - tailBytes));
  const lines = linesOf(text);
  return { lines: count === 0 ? [] : lines.slice(-count), endBytes };
}

// What the person may not see is not missing.
function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) throw error;
    throw new Fault('STATE_DIR_UNUSABLE', `not permitted to read ${file}`, {
      cause: error,
      hint: 'only the user who runs the daemon may read its log',
    });
  }
}

/** The lines of a text that may end with a newline. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

const levelNames: Record<number, string> = {
  10: 'trace',
  20: 'debug',
  40: 'warning',
  50: 'error',
  60: 'fatal',
};

/**
 * Lines for people. What the daemon says to whoever starts it, it also records: where its output is
 * the log, that is shown once, as the record has it.
 */
export function readableLines(lines: readonly string[]): string[] {
  return lines.filter((line, at) => !repeats(line, lines[at - 1])).map(readable);
}

function repeats(line: string, former: string | undefined): boolean {
  const { msg } = recordOf(former ?? '');
  return typeof msg === 'string' && line.replace(/^keyvold: (warning: )?/, '') === msg;
}

/** A line for people: the log's records are JSON, one a line, and other output is text already. */
export function readable(line: string): string {
  const { time, level, msg, err } = recordOf(line);
  if (typeof time !== 'string' || typeof msg !== 'string') return line;
  const name = typeof level === 'number' ? levelNames[level] : undefined;
  const cause = typeof err?.message === 'string' ? `: ${err.message}` : '';
  return `${localTime(time)} ${name === undefined ? '' : `${name}: `}${msg}${cause}`;
}

interface LogRecord {
  time?: unknown;
  level?: unknown;
  msg?: unknown;
  err?: { message?: unknown };
}

function recordOf(line: string): LogRecord {
  if (!line.startsWith('{')) return {};
  try {
    // An object, as its first letter shows; its fields are checked where they are used.
    return JSON.parse(line) as LogRecord;
  } catch {
    return {};
  }
}
