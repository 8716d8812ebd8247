/** The closed list of faults, and the one table that maps each to what every caller sees. */

interface FaultMapping {
  /** Exit status of the CLI, DESIGN §6. Retired numbers are never used again. */
  readonly exitStatus: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 130;
  readonly httpStatus: number;
  readonly errno: string;
  /** The modelled cloud's own code, where it has one. */
  readonly cloudCode?: string;
}

const faultTable = {
  INTERNAL: { exitStatus: 1, httpStatus: 500, errno: 'EIO', cloudCode: 'KMS.0100' },
  INTERRUPTED: { exitStatus: 130, httpStatus: 499, errno: 'EINTR' },

  USAGE: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'KMS.0308' },
  INVALID_ARGUMENT: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'KMS.0308' },
  INVALID_NAME: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'KMS.1101' },
  INVALID_SIZE: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL' },
  INVALID_PENDING_DAYS: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'KMS.1401' },
  OUT_OF_RANGE: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL' },
  KEY_NOT_CHOOSABLE: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'EVS.1043' },
  /** An image is copied to have another key. */
  SAME_KEY: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'IMG.0096' },
  PLAIN_DISK_REFUSED: { exitStatus: 2, httpStatus: 400, errno: 'EINVAL', cloudCode: 'EVS.2041' },
  UNSUPPORTED: { exitStatus: 2, httpStatus: 400, errno: 'EOPNOTSUPP' },

  KEY_NOT_FOUND: { exitStatus: 3, httpStatus: 404, errno: 'ENOENT', cloudCode: 'KMS.0207' },
  VOLUME_NOT_FOUND: { exitStatus: 3, httpStatus: 404, errno: 'ENOENT', cloudCode: 'EVS.5404' },
  IMAGE_NOT_FOUND: { exitStatus: 3, httpStatus: 404, errno: 'ENOENT', cloudCode: 'IMG.0027' },
  SNAPSHOT_NOT_FOUND: { exitStatus: 3, httpStatus: 404, errno: 'ENOENT', cloudCode: 'EVS.2045' },
  FILE_NOT_FOUND: { exitStatus: 3, httpStatus: 404, errno: 'ENOENT' },
  ROUTE_NOT_FOUND: { exitStatus: 3, httpStatus: 404, errno: 'ENOENT', cloudCode: 'KMS.0201' },

  KEY_DISABLED: { exitStatus: 4, httpStatus: 400, errno: 'EIO', cloudCode: 'KMS.0209' },
  KEY_PENDING_DELETION: { exitStatus: 4, httpStatus: 400, errno: 'EIO', cloudCode: 'KMS.0210' },
  KEY_PENDING_IMPORT: { exitStatus: 4, httpStatus: 400, errno: 'EIO', cloudCode: 'KMS.1301' },
  /** The master key of a disk was deleted: its data is gone for ever. */
  KEY_DELETED: { exitStatus: 4, httpStatus: 404, errno: 'EIO', cloudCode: 'KMS.0207' },
  GATE_CLOSED: { exitStatus: 4, httpStatus: 400, errno: 'EIO' },

  PERMISSION_DENIED: { exitStatus: 5, httpStatus: 403, errno: 'EACCES', cloudCode: 'KMS.0306' },
  DEFAULT_KEY_PROTECTED: { exitStatus: 5, httpStatus: 400, errno: 'EPERM', cloudCode: 'KMS.0211' },

  KEY_NOT_DISABLED: { exitStatus: 6, httpStatus: 400, errno: 'EINVAL', cloudCode: 'KMS.1201' },
  KEY_NOT_ENABLED: { exitStatus: 6, httpStatus: 400, errno: 'EINVAL', cloudCode: 'KMS.1301' },
  KEY_ALREADY_PENDING_DELETION: {
    exitStatus: 6,
    httpStatus: 400,
    errno: 'EINVAL',
    cloudCode: 'KMS.1402',
  },
  KEY_NOT_PENDING_DELETION: {
    exitStatus: 6,
    httpStatus: 400,
    errno: 'EINVAL',
    cloudCode: 'KMS.1501',
  },
  KEY_NOT_PENDING_IMPORT: {
    exitStatus: 6,
    httpStatus: 400,
    errno: 'EINVAL',
    cloudCode: 'KMS.0310',
  },
  KEY_EXISTS: { exitStatus: 6, httpStatus: 400, errno: 'EEXIST', cloudCode: 'KMS.1104' },
  /** Deleting a key that disks use needs its name as confirmation. */
  CONFIRMATION_REQUIRED: { exitStatus: 6, httpStatus: 409, errno: 'EBUSY' },
  VOLUME_EXISTS: { exitStatus: 6, httpStatus: 409, errno: 'EEXIST' },
  IMAGE_EXISTS: { exitStatus: 6, httpStatus: 409, errno: 'EEXIST' },
  SNAPSHOT_EXISTS: { exitStatus: 6, httpStatus: 409, errno: 'EEXIST' },
  FILE_EXISTS: { exitStatus: 6, httpStatus: 409, errno: 'EEXIST' },
  /** A disk in the wrong state for the action: attached twice, deleted while attached… */
  WRONG_STATE: { exitStatus: 6, httpStatus: 409, errno: 'EBUSY' },
  BUSY: { exitStatus: 6, httpStatus: 409, errno: 'EBUSY' },
  DAEMON_RUNNING: { exitStatus: 6, httpStatus: 409, errno: 'EBUSY' },
  STATE_DIR_UNUSABLE: { exitStatus: 6, httpStatus: 500, errno: 'EIO' },
  STATE_DIR_NEWER: { exitStatus: 6, httpStatus: 500, errno: 'EIO' },
  /** The host gives no FUSE, or the daemon was told to use none. */
  FUSE_UNAVAILABLE: { exitStatus: 6, httpStatus: 409, errno: 'ENODEV' },
  READ_ONLY: { exitStatus: 6, httpStatus: 409, errno: 'EROFS' },

  DAEMON_UNREACHABLE: { exitStatus: 7, httpStatus: 503, errno: 'ECONNREFUSED' },

  IO_ERROR: { exitStatus: 8, httpStatus: 500, errno: 'EIO' },
  DISK_POISONED: { exitStatus: 8, httpStatus: 500, errno: 'EIO' },
  INTEGRITY_FAILED: { exitStatus: 8, httpStatus: 500, errno: 'EIO' },
  HEADER_INVALID: { exitStatus: 8, httpStatus: 500, errno: 'EIO' },
  /** A container older than the generation recorded beside its master key. */
  HEADER_OUTDATED: { exitStatus: 8, httpStatus: 500, errno: 'EIO' },
  KEY_FILE_INVALID: { exitStatus: 8, httpStatus: 500, errno: 'EIO' },

  NO_SPACE: { exitStatus: 9, httpStatus: 507, errno: 'ENOSPC' },
  LIMIT_REACHED: { exitStatus: 9, httpStatus: 400, errno: 'EDQUOT', cloudCode: 'KMS.1105' },
} as const satisfies Record<string, FaultMapping>;

export type FaultCode = keyof typeof faultTable;

/** An error that a caller can act on. `message`: lower case, no full stop, names the thing and its state. */
export class Fault extends Error {
  readonly code: FaultCode;
  /** One line that says how to cure it, where we can guess. */
  readonly hint: string | undefined;

  constructor(code: FaultCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'Fault';
    this.code = code;
    this.hint = options.hint;
  }
}

/** What every layer makes of a code: exit status, HTTP status, errno, cloud code. */
export function mappingOf(code: FaultCode): FaultMapping {
  return faultTable[code];
}

export function isFaultCode(text: string): text is FaultCode {
  return Object.hasOwn(faultTable, text);
}
