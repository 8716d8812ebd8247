/** What SQLite's and the filesystem's errors mean to a caller. */
import { Fault } from '../fault.js';
import { spaceHint, storageHint, writableHint } from '../file-fault.js';

const spaceCodes = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'ENOSPC', 'EDQUOT']);
const unusableCodes = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP']);
const unusablePrefixes = ['SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_PERM', 'SQLITE_AUTH'];

/** SQLITE_ERROR: all our SQL is known to be right, so that a schema is not what we made. */
const damageCodes = /^SQLITE_(NOTADB|CORRUPT.*|ERROR)$/;

/** The error code of SQLite ("SQLITE_FULL") or the system ("ENOSPC"), or "". */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

export function isOutOfSpace(error: unknown): boolean {
  return spaceCodes.has(errorCode(error));
}

/** True for errors that end the whole transaction, not one statement of it. */
export function endsTransaction(error: unknown): boolean {
  const code = errorCode(error);
  return isOutOfSpace(error) || code.startsWith('SQLITE_IOERR') || code === 'SQLITE_NOMEM';
}

/** The Fault for an error met while working on the database at `path`. Faults pass unchanged. */
export function storeFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  const code = errorCode(error);
  if (isOutOfSpace(error)) return noSpace(path, error);
  if (damageCodes.test(code)) return damaged(path, code, error);
  if (unusableCodes.has(code) || unusablePrefixes.some((prefix) => code.startsWith(prefix))) {
    return new Fault('STATE_DIR_UNUSABLE', `cannot open or write ${path} (${code})`, {
      cause: error,
      hint: writableHint,
    });
  }
  if (code.startsWith('SQLITE_IOERR') || code === 'EIO') {
    return new Fault('IO_ERROR', `cannot read or write ${path} (${code})`, {
      cause: error,
      hint: storageHint,
    });
  }
  if (code.startsWith('SQLITE_BUSY')) {
    return new Fault('BUSY', `${path} is locked by another process`, { cause: error });
  }
  return new Fault('INTERNAL', `a record of ${path} was refused (${code || String(error)})`, {
    cause: error,
  });
}

/** `why`: what SQLite or a check says. */
export function damaged(path: string, why: string, cause?: unknown): Fault {
  return new Fault(
    'STATE_DIR_UNUSABLE',
    `${path} is damaged, not a keyvol database, or cannot be read (${why})`,
    {
      cause,
      hint:
        `${storageHint}; if it has not, restore the file from a backup, or give another state ` +
        'directory',
    },
  );
}

function noSpace(path: string, cause: unknown): Fault {
  return new Fault('NO_SPACE', `no space left on the filesystem of ${path}`, {
    cause,
    hint: spaceHint,
  });
}
