/** One daemon a directory: a lock that the kernel drops when its holder dies, however it dies. */
import { ftruncateSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Addon } from '../device/index.js';
import { Fault } from '../fault.js';
import { withReason } from './state-dir.js';

export interface LockOptions {
  readonly directory: string;
  /** Names the directory in faults. */
  readonly what: string;
  /** Where a daemon that used these directories before has its FUSE mount. */
  readonly disksDir: string;
  readonly addon: Addon;
}

const diesWithinMs = 5000;
const buriedWithinMs = 5000;
const pollMs = 20;

/** Locks the directory until this process ends. Throws DAEMON_RUNNING, naming who holds it. */
export async function lockDirectory(options: LockOptions): Promise<void> {
  const { directory, what } = options;
  const file = path.join(directory, 'lock');
  const fd = await takeLock(file, options);
  withReason(directory, what, () => {
    ftruncateSync(fd);
    writeSync(fd, `${String(process.pid)}\n`, 0);
  });
}

/**
 * A killed daemon ends when what its threads are doing does, a flush for example. One of which a
 * thread waits on a disk of its own ends only when that disk is cut off, and every other with it.
 */
async function lockAfterZombie(
  file: string,
  { disksDir, addon }: LockOptions,
): Promise<number | undefined> {
  const fd = await lockWithin(diesWithinMs, file, addon);
  if (fd !== undefined) return fd;
  await addon.abortFuseMount(disksDir);
  return lockWithin(buriedWithinMs, file, addon);
}

async function lockWithin(
  withinMs: number,
  file: string,
  addon: Addon,
): Promise<number | undefined> {
  const deadlineMs = performance.now() + withinMs;
  while (performance.now() < deadlineMs) {
    try {
      return addon.lockFile(file);
    } catch (error) {
      if (!isBusy(error)) throw error;
      await setTimeout(pollMs);
    }
  }
  return undefined;
}

function isBusy(error: unknown): boolean {
  return error instanceof Fault && error.code === 'BUSY';
}

function isHeldByZombie(file: string): boolean {
  try {
    const pid = readFileSync(file, 'utf8').trim();
    return pid !== '' && readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    // No lock was ever taken, or its holder is gone.
    return false;
  }
}

async function takeLock(file: string, options: LockOptions): Promise<number> {
  const { directory, what, addon } = options;
  try {
    return addon.lockFile(file);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (isBusy(error)) {
      const fd = isHeldByZombie(file) ? await lockAfterZombie(file, options) : undefined;
      if (fd !== undefined) return fd;
      throw alreadyRunning(file, directory, what);
    }
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
