/** The daemon's log: one JSON object a line on standard error. Nothing secret ever reaches it. */
import { pino, type Logger } from 'pino';

export type Log = Pick<Logger, 'info' | 'warn' | 'error' | 'fatal'>;

/** Writes at once, so that the last line before a death is there. */
export function createLog(): Log {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: process.stderr.fd, sync: true }),
  );
}
