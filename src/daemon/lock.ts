/** One daemon a directory: a lock that the kernel drops when its holder dies, however it dies. */
import { ftruncateSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Addon } from '../device/index.js';
import { Fault } from '../fault.js';
import { withReason } from './state-dir.js';

/**
 * Locks `directory` until this process ends. Throws DAEMON_RUNNING, naming the process that holds
 * it. `what` names the directory in faults.
 */
export function lockDirectory(directory: string, what: string, addon: Addon): void {
  const file = path.join(directory, 'lock');
  const fd = takeLock(file, directory, what, addon);
  withReason(directory, what, () => {
    ftruncateSync(fd);
    writeSync(fd, `${String(process.pid)}\n`, 0);
  });
}

function takeLock(file: string, directory: string, what: string, addon: Addon): number {
  try {
    return addon.lockFile(file);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'BUSY') throw alreadyRunning(file, directory, what);
    throw notLockable(error, `${what} ${directory}`);
  }
}

function notLockable(cause: Fault, place: string): Fault {
  if (cause.code === 'NO_SPACE') {
    return new Fault('NO_SPACE', `${place} is on a full filesystem`, { cause });
  }
  const isReadOnly = cause.code === 'READ_ONLY';
  const reason = isReadOnly ? 'is on a read-only filesystem' : `cannot be locked: ${cause.message}`;
  return new Fault('STATE_DIR_UNUSABLE', `${place} ${reason}`, { cause });
}

function alreadyRunning(file: string, directory: string, what: string): Fault {
  const pid = readFileSync(file, 'utf8').trim();
  const holder = pid === '' ? 'another daemon' : `another daemon (process ${pid})`;
  return new Fault('DAEMON_RUNNING', `${what} ${directory} is used by ${holder}`, {
    hint: 'keyvol daemon stop, or give another directory',
  });
}
