/** The directory that holds all state: ours alone, writable, and in a format we know. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { makeDirectory, syncDirectory } from '../durable.js';
import { Fault, type FaultCode } from '../fault.js';

/** The format of the state directory that this version writes, and the newest that it reads. */
export const stateFormat = 1;

// What may lie in a directory that is not yet a state directory: what starting makes, and what
// mkfs leaves.
const harmlessEntries = new Set(['lock', 'log', 'probe', 'version.new', 'lost+found']);
const probeBytes = 64 * 1024;

/**
 * Makes the directory if it is missing, and takes one that exists only if it is ours: nothing in
 * another one is touched. Throws STATE_DIR_UNUSABLE, STATE_DIR_NEWER, NO_SPACE.
 */
export function prepareStateDir(directory: string): void {
  makePrivateDirectory(directory, 'state directory');
  const version = readVersion(directory);
  if (version === undefined) refuseForeignEntries(directory);
  else if (version > stateFormat) throw newerState(directory, version);
}

/** Writes what tells the next start what this is. Call with the directory's lock held. */
export function markStateDir(directory: string): void {
  withReason(directory, 'state directory', () => {
    probeSpace(directory);
    if (readVersion(directory) !== undefined) return;
    const fresh = path.join(directory, 'version.new');
    writeDurably(fresh, Buffer.from(`${String(stateFormat)}\n`));
    renameSync(fresh, path.join(directory, 'version'));
    syncDirectory(directory);
  });
}

/** A directory of mode 0700 that belongs to us. `what` names it in faults. */
export function makePrivateDirectory(directory: string, what: string): void {
  withReason(directory, what, () => {
    makeDirectory(directory);
    const stat = lstatSync(directory);
    if (!stat.isDirectory()) throw unusable(directory, what, 'is not a directory');
    if (stat.uid !== process.getuid?.()) throw unusable(directory, what, 'belongs to another user');
    if ((stat.mode & 0o077) !== 0) chmodSync(directory, 0o700);
  });
}

function readVersion(directory: string): number | undefined {
  const text = withReason(directory, 'state directory', () => readIfThere(directory));
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]{0,8}\n?$/.test(text)) {
    throw unusable(directory, 'state directory', 'has a version file that is not a number');
  }
  return Number(text);
}

function readIfThere(directory: string): string | undefined {
  try {
    return readFileSync(path.join(directory, 'version'), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function refuseForeignEntries(directory: string): void {
  const entries = withReason(directory, 'state directory', () => readdirSync(directory));
  const foreign = entries.find((entry) => !harmlessEntries.has(entry));
  if (foreign === undefined) return;
  throw unusable(directory, 'state directory', `holds ${foreign} but no keyvol state`, {
    hint: 'give an empty directory, or one that keyvol made',
  });
}

function newerState(directory: string, version: number): Fault {
  return new Fault(
    'STATE_DIR_NEWER',
    `state directory ${directory} has format ${String(version)}, and this keyvol knows up to ${String(stateFormat)}`,
    { hint: 'use the keyvol that made it, or a newer one' },
  );
}

/** A full disk must be found out now, with nothing begun. */
function probeSpace(directory: string): void {
  const probe = path.join(directory, 'probe');
  try {
    writeDurably(probe, Buffer.alloc(probeBytes));
  } finally {
    rmSync(probe, { force: true });
  }
}

function writeDurably(file: string, bytes: Buffer): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const reasonOfErrno: Record<string, string> = {
  EROFS: 'is on a read-only filesystem',
  EEXIST: 'is not a directory',
  ENOTDIR: 'is not a directory',
  EACCES: 'may not be used by this user',
  EPERM: 'may not be used by this user',
  ELOOP: 'is a symbolic link that leads nowhere',
  EIO: 'cannot be read or written',
};
const fullErrnos = new Set(['ENOSPC', 'EDQUOT']);

/** Runs `work` on the directory; what the system refuses becomes a Fault that names it. */
export function withReason<Result>(directory: string, what: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (fullErrnos.has(errno)) {
      throw new Fault('NO_SPACE', `${what} ${directory} is on a full filesystem`, { cause: error });
    }
    throw unusable(directory, what, reasonOfErrno[errno] ?? `fails (${errno})`, {
      cause: error,
      hint: 'choose another one with --state-dir, or --runtime-dir',
    });
  }
}

function unusable(
  directory: string,
  what: string,
  reason: string,
  options: { cause?: unknown; hint?: string } = {},
): Fault {
  const code: FaultCode = 'STATE_DIR_UNUSABLE';
  return new Fault(code, `${what} ${directory} ${reason}`, options);
}

/** The errno of a system error; undefined for what is none, a Fault among them. */
function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof Fault || !('code' in error)) return undefined;
  return String(error.code);
}
