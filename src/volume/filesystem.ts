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

/** Makes a filesystem on an empty device; throws WRONG_STATE when something is on it. `disk` names it. */
export async function makeFilesystem(
  device: string,
  filesystem: string,
  disk: string,
): Promise<void> {
  assertMkfs(filesystem);
  const present = await detectFilesystem(device);
  if (present !== undefined) {
    throw new Fault('WRONG_STATE', `${disk} holds ${present} already`, {
      hint: 'leave out --mkfs to mount it; to start afresh, create a new volume',
    });
  }
  const [command = '', ...options] = mkfsCommands[filesystem] ?? [];
  try {
    await run(command, [...options, device], { env });
  } catch (error) {
    const why = lastLine(error);
    throw new Fault('INVALID_ARGUMENT', `${command} failed on ${disk}: ${why}`, { cause: error });
  }
}

/** The type blkid(8) finds by low-level probing, or undefined when there is none. */
export async function detectFilesystem(device: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('blkid', ['-p', '-o', 'export', device], { env });
    return /^(?:TYPE|PTTYPE)=(.+)$/m.exec(stdout)?.[1] ?? 'data of an unknown kind';
  } catch (error) {
    const status = error instanceof Error && 'code' in error ? error.code : undefined;
    if (status === 2) return undefined;
    if (status === 8) return 'mix of several filesystems';
    throw new Fault('IO_ERROR', `cannot read ${device}: ${lastLine(error)}`, { cause: error });
  }
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
