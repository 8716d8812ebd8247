/** The daemon's log: one JSON object a line on standard error. Nothing secret ever reaches it. */
import { writeFileSync } from 'node:fs';
import { pino, type Logger } from 'pino';

export type Log = Pick<Logger, 'info' | 'warn' | 'error' | 'fatal'>;

/**
 * Writes at once, so that the last line before a death is there. What cannot be written, for the
 * disk of the log is full or fails, is lost: pino's own destination would wait for it, or end the
 * daemon.
 */
export function createLog(): Log {
  const { fd } = process.stderr;
  process.stderr.on('error', () => undefined);
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line: string) => writeOrLose(fd, line) },
  );
}

function writeOrLose(fd: number, line: string): void {
  try {
    writeFileSync(fd, line);
  } catch {
    // Nobody is left to be told.
  }
}
