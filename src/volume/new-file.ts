/** Files that a verb makes for the user, outside the state directory: whole, or not at all. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, rename, rm, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { syncDirectory } from '../durable.js';
import { Fault, type FaultCode } from '../fault.js';
import { spaceHint, storageHint } from '../file-fault.js';

const meanings: Readonly<Record<string, readonly [FaultCode, string?]>> = {
  ENOSPC: ['NO_SPACE', spaceHint],
  EDQUOT: ['NO_SPACE', spaceHint],
  EFBIG: ['NO_SPACE', 'choose a filesystem that takes larger files'],
  EACCES: ['PERMISSION_DENIED'],
  EPERM: ['PERMISSION_DENIED'],
  EROFS: ['PERMISSION_DENIED', 'choose a directory on a writable filesystem'],
  ENOTDIR: ['FILE_NOT_FOUND'],
};

/** Throws INVALID_ARGUMENT, FILE_EXISTS, or FILE_NOT_FOUND when there is no such directory. */
export async function assertNewFile(path: string): Promise<void> {
  if (!isAbsolute(path)) throw new Fault('INVALID_ARGUMENT', `${path} is not an absolute path`);
  if (await exists(path)) throw fileExists(path);
  if (!(await exists(dirname(path)))) {
    throw new Fault('FILE_NOT_FOUND', `there is no directory ${dirname(path)}`);
  }
}

/**
 * A file of mode 0600, "FILE.partial-1f0c" until `keep`. Errors of the system are Faults that name
 * it: NO_SPACE, PERMISSION_DENIED, IO_ERROR.
 */
export class NewFile {
  readonly #path: string;
  readonly #partial: string;
  readonly #file: FileHandle;

  private constructor(path: string, partial: string, file: FileHandle) {
    this.#path = path;
    this.#partial = partial;
    this.#file = file;
  }

  /**
   * Begins as `make` makes it: empty. The caller ends it with `dispose`. Throws as assertNewFile.
   */
  static async create(path: string, make = makeEmpty): Promise<NewFile> {
    await assertNewFile(path);
    const partial = `${path}.partial-${randomBytes(4).toString('hex')}`;
    await orFault(path, () => make(partial));
    try {
      const file = await orFault(path, () =>
        open(partial, constants.O_RDWR | constants.O_NOFOLLOW),
      );
      return new NewFile(path, partial, file);
    } catch (error) {
      await unlink(partial).catch(() => undefined);
      throw error;
    }
  }

  /** Where it is until it is kept. */
  get partial(): string {
    return this.#partial;
  }

  async write(data: Buffer, offsetBytes: number): Promise<void> {
    await orFault(this.#path, async () => {
      for (let done = 0; done < data.length;) {
        const left = data.length - done;
        const { bytesWritten } = await this.#file.write(data, done, left, offsetBytes + done);
        done += bytesWritten;
      }
    });
  }

  /** Makes what was written durable, and the file this long. */
  async sync(lengthBytes: number): Promise<void> {
    await orFault(this.#path, async () => {
      await this.#file.truncate(lengthBytes);
      await this.#file.sync();
    });
  }

  /** Under its own name, for good. FILE_EXISTS when another has it by now. */
  async keep(): Promise<void> {
    await orFault(this.#path, async () => {
      await this.#takeName();
      try {
        await rm(this.#partial, { force: true });
        syncDirectory(dirname(this.#path));
      } catch (error) {
        // Who hears that it failed expects no file.
        await unlink(this.#path).catch(() => undefined);
        throw error;
      }
    });
  }

  async #takeName(): Promise<void> {
    try {
      // Unlike a rename it never replaces a file.
      await link(this.#partial, this.#path);
    } catch (error) {
      if (!hasNoLinks(error)) throw error;
      if (await exists(this.#path)) throw fileExists(this.#path);
      await rename(this.#partial, this.#path);
    }
  }

  /** Removes what was not kept. */
  async dispose(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await unlink(this.#partial).catch(() => undefined);
  }
}

async function makeEmpty(path: string): Promise<void> {
  await (await open(path, 'wx', 0o600)).close();
}

/** exFAT and the like say EPERM, others that they do not know it. */
function hasNoLinks(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['EPERM', 'ENOSYS', 'ENOTSUP'].includes(code);
}

async function orFault<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (cause instanceof Fault || code === '') throw cause;
    if (code === 'EEXIST') throw fileExists(path);
    const [faultCode, hint] = meanings[code] ?? ['IO_ERROR', storageHint];
    throw new Fault(faultCode, `cannot write ${path} (${code})`, {
      cause,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function fileExists(path: string): Fault {
  return new Fault('FILE_EXISTS', `${path} exists already`, { hint: 'choose another name' });
}
