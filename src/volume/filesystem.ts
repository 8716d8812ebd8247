/** Which filesystem a device holds, making one, and where it may be mounted. */
import { execFile } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../fault.js';
import { isInside, readMounts, realPathOf } from './mount-table.js';

const run = promisify(execFile);
/** A fixed path: the daemon's own environment is not to choose the programs. */
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

const mkfsCommands: Readonly<Record<string, readonly string[]>> = {
  // -F: mke2fs asks before it takes a whole device; we have looked that nothing is on it.
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q'],
  btrfs: ['mkfs.btrfs', '-q'],
};

/** Throws INVALID_ARGUMENT for a filesystem that `--mkfs` does not make. */
export function assertMkfs(filesystem: string): void {
  if (Object.hasOwn(mkfsCommands, filesystem)) return;
  throw new Fault('INVALID_ARGUMENT', `cannot make a ${JSON.stringify(filesystem)} filesystem`, {
    hint: `choose one of ${Object.keys(mkfsCommands).join(', ')}`,
  });
}

/** Throws WRONG_STATE unless a disk on which a filesystem is to be made holds nothing. */
export function assertEmpty(present: DiskContent | undefined, disk: string): void {
  if (present === undefined) return;
  throw new Fault('WRONG_STATE', `${disk} holds ${present.what} already`, {
    hint: 'leave out --mkfs to mount it; to start afresh, create a new volume',
  });
}

/** Throws WRONG_STATE unless there is a filesystem; its type. */
export function assertFilesystem(present: DiskContent | undefined, disk: string): string {
  if (present?.filesystem !== undefined) return present.filesystem;
  const what = present === undefined ? 'no filesystem' : `${present.what}, not a filesystem`;
  throw new Fault('WRONG_STATE', `${disk} holds ${what}`, {
    hint:
      present === undefined
        ? 'add --mkfs ext4 to make one'
        : 'attach it, and see what is on it with blkid -p, or losetup --partscan',
  });
}

/** Makes a filesystem on a device that holds nothing. `disk` names it. */
export async function makeFilesystem(
  device: string,
  filesystem: string,
  disk: string,
): Promise<void> {
  const [command = '', ...options] = mkfsCommands[filesystem] ?? [];
  try {
    await run(command, [...options, device], { env });
  } catch (error) {
    const why = lastLine(error);
    throw new Fault('INVALID_ARGUMENT', `${command} failed on ${disk}: ${why}`, { cause: error });
  }
}

/** Makes a filesystem as large as its device while it is mounted: from the device, or the directory. */
const growCommands: Readonly<Record<string, (device: string, directory: string) => string[]>> = {
  ext4: (device) => ['resize2fs', device],
  xfs: (_, directory) => ['xfs_growfs', directory],
  btrfs: (_, directory) => ['btrfs', 'filesystem', 'resize', 'max', directory],
};

/** Throws UNSUPPORTED for a filesystem that cannot grow while it is mounted. */
export function assertGrowable(filesystem: string, disk: string): void {
  if (Object.hasOwn(growCommands, filesystem)) return;
  throw new Fault('UNSUPPORTED', `the ${filesystem} of ${disk} cannot grow while it is mounted`, {
    hint: `leave out --grow-filesystem; those that can are ${Object.keys(growCommands).join(', ')}`,
  });
}

/** Makes a mounted filesystem as large as its device, which has grown. `disk` names it. */
export async function growFilesystem(
  filesystem: string,
  device: string,
  directory: string,
  disk: string,
): Promise<void> {
  assertGrowable(filesystem, disk);
  const [command = '', ...args] = growCommands[filesystem]?.(device, directory) ?? [];
  try {
    await run(command, args, { env });
  } catch (error) {
    const why = lastLine(error);
    // The kernel lets only who has CAP_SYS_RESOURCE do this to ext4, root or not.
    const isForbidden = why.includes('Permission denied');
    const code = isForbidden ? 'PERMISSION_DENIED' : 'IO_ERROR';
    throw new Fault(code, `${disk} has grown, its ${filesystem} not: ${command}: ${why}`, {
      cause: error,
      hint: isForbidden
        ? `unmount and attach it, and run ${command} on its file`
        : 'see to that, and ask for the same size again',
    });
  }
}

/** What blkid(8) finds on a disk by low-level probing. */
export interface DiskContent {
  /** "ext4", "a gpt partition table", for messages. */
  readonly what: string;
  /** The type, when it is a filesystem. */
  readonly filesystem?: string;
  /** Its block size, or sector size for XFS, where blkid knows it. */
  readonly blockBytes?: number;
}

/** Undefined when nothing is found on the device or file at `path`. */
export async function probeContent(path: string): Promise<DiskContent | undefined> {
  try {
    const { stdout } = await run('blkid', ['-p', '-o', 'export', path], { env });
    return contentOf(new Map(stdout.split('\n').map(keyAndValue)));
  } catch (error) {
    const status = error instanceof Error && 'code' in error ? error.code : undefined;
    if (status === 2) return undefined;
    if (status === 8) return { what: 'a mix of several filesystems' };
    throw new Fault('IO_ERROR', `cannot read ${path}: ${lastLine(error)}`, { cause: error });
  }
}

function contentOf(found: ReadonlyMap<string, string>): DiskContent {
  const type = found.get('TYPE');
  const table = found.get('PTTYPE');
  const blockBytes = Number(found.get('BLOCK_SIZE') ?? Number.NaN);
  if (type !== undefined && found.get('USAGE') === 'filesystem') {
    return { what: type, filesystem: type, ...(blockBytes > 0 ? { blockBytes } : {}) };
  }
  if (type === undefined && table !== undefined) return { what: `a ${table} partition table` };
  return { what: type ?? 'data of an unknown kind' };
}

function keyAndValue(line: string): [string, string] {
  const equals = line.indexOf('=');
  return [line.slice(0, equals), line.slice(equals + 1)];
}

/** A filesystem whose blocks are smaller than a sector of its device cannot be mounted. */
export function loopSectorBytes(content: DiskContent | undefined): 512 | 4096 {
  return content?.blockBytes !== undefined && content.blockBytes < 4096 ? 512 : 4096;
}

/** Mount options that fit a disk of ours; see DESIGN §5. */
export function mountOptions(filesystem: string, readOnly: boolean): string {
  switch (filesystem) {
    case 'ext4':
    case 'ext3':
    case 'ext2':
      // A refused read of a closed gate is not damage. A read-only disk cannot replay a journal.
      return readOnly ? 'errors=continue,noload' : 'errors=continue';
    case 'xfs':
      // A clone has its source's UUID, and both may be mounted.
      return readOnly ? 'nouuid,norecovery' : 'nouuid';
    case 'btrfs':
      return readOnly ? 'rescue=nologreplay' : '';
    default:
      return '';
  }
}

/**
 * The real path of a directory on which a disk may be mounted. Throws FILE_NOT_FOUND,
 * INVALID_ARGUMENT, or WRONG_STATE when something is mounted there. `ours`: directories that the
 * daemon lives in; `ourLoops`: loop devices of our own disks.
 */
export async function mountableDirectory(
  directory: string,
  ours: readonly string[],
  ourLoops: readonly string[],
): Promise<string> {
  const real = await existingDirectory(directory);
  const realOurs = await Promise.all(ours.map(realPathOf));
  const home = realOurs.find((own) => isInside(real, own));
  if (home !== undefined) {
    throw new Fault(
      'INVALID_ARGUMENT',
      `${directory} is inside ${home}, where keyvol itself works`,
      {
        hint: 'mount it elsewhere',
      },
    );
  }
  const covering = (await readMounts()).filter((entry) => isInside(real, entry.directory));
  const nearest = covering.reduce<(typeof covering)[number] | undefined>(
    (best, entry) => (entry.directory.length >= (best?.directory.length ?? 0) ? entry : best),
    undefined,
  );
  if (nearest?.directory === real) {
    throw new Fault('WRONG_STATE', `something is mounted on ${directory} already`, {
      hint: 'choose another directory',
    });
  }
  if (nearest !== undefined && ourLoops.includes(nearest.source)) {
    throw new Fault('INVALID_ARGUMENT', `${directory} is on a disk of keyvol`, {
      hint: 'mount it elsewhere: a key that is lost would take both',
    });
  }
  return real;
}

async function existingDirectory(directory: string): Promise<string> {
  if (!isAbsolute(directory)) {
    throw new Fault('INVALID_ARGUMENT', `${directory} is not an absolute path`);
  }
  try {
    const real = await realpath(directory);
    if ((await stat(real)).isDirectory()) return real;
  } catch (error) {
    throw new Fault('FILE_NOT_FOUND', `there is no directory ${directory}`, {
      cause: error,
      hint: `mkdir ${directory}`,
    });
  }
  throw new Fault('INVALID_ARGUMENT', `${directory} is not a directory`);
}

function lastLine(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
  return stderr.trim().split('\n').at(-1) || String(error);
}
