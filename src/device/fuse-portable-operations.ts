/** FUSE requests as fuse-native hands them over, answered from a PortableTree. */
import { constants as fsConstants } from 'node:fs';
import { constants } from 'node:os';
import { Fault, mappingOf } from '../fault.js';
import type { FuseFile } from './transport.js';
import type { PortableTree } from './fuse-portable-tree.js';

const { errno } = constants;
const blockBytes = 4096;
const statUnitBytes = 512;
const nameMaxBytes = 64;
const writeBits = 0o222;
const accessMode = fsConstants.O_RDONLY | fsConstants.O_WRONLY | fsConstants.O_RDWR;

/** Answers 0 or a count, or a negative errno. */
type Done = (result: number, value?: unknown) => void;

/** fuse-native's table of handlers: it calls each with its arguments and a `Done` at the end. */
export type FuseOperations = Readonly<Record<string, (...args: never[]) => void>>;

/** The operations of one mount; the same answers as native/transport/fuse where libfuse 2 can. */
export function portableOperations(tree: PortableTree): FuseOperations {
  return { ...metaOperations(tree), ...dataOperations(tree), ...refusedOperations() };
}

function metaOperations(tree: PortableTree): FuseOperations {
  return {
    getattr: (path: string, done: Done) => {
      const file = tree.fileByPath(path);
      if (file !== undefined) done(0, attributesOf(file));
      else if (directoryEntries(tree, path) !== undefined) done(0, directoryAttributes());
      else done(-errno.ENOENT);
    },
    readdir: (path: string, done: Done) => {
      const names = directoryEntries(tree, path);
      if (names === undefined) done(-errno.ENOTDIR);
      else done(0, names);
    },
    statfs: (_path: string, done: Done) => done(0, statisticsOf(tree.all())),
    // Truncation and times are accepted and change nothing: `dd of=disk` truncates first.
    truncate: (path: string, _sizeBytes: number, done: Done) => {
      const file = tree.fileByPath(path);
      if (file === undefined) done(-errno.ENOENT);
      else done(file.readOnly ? -errno.EROFS : 0);
    },
    ftruncate: (_path: string, _handle: number, _sizeBytes: number, done: Done) => done(0),
    utimens: (_path: string, _atime: number, _mtime: number, done: Done) => done(0),
    open: (path: string, flags: number, done: Done) => {
      const file = tree.fileByPath(path);
      const forWriting = (flags & accessMode) !== fsConstants.O_RDONLY;
      if (file === undefined) done(-errno.ENOENT);
      else if (forWriting && file.readOnly) done(-errno.EROFS);
      else if (forWriting && tree.isTaken(file.id)) done(-errno.EBUSY);
      else done(0, tree.open(file, forWriting));
    },
    release: (_path: string, handle: number, done: Done) => {
      tree.release(handle);
      done(0);
    },
  };
}

function dataOperations(tree: PortableTree): FuseOperations {
  return {
    read: (
      _path: string,
      handle: number,
      buffer: Buffer,
      length: number,
      offset: number,
      done: Done,
    ) =>
      answer(tree, handle, done, async ({ device }) => {
        const lengthBytes = clamp(device.sizeBytes, offset, length);
        if (lengthBytes > 0) await device.read(buffer.subarray(0, lengthBytes), offset);
        return lengthBytes;
      }),
    write: (
      _path: string,
      handle: number,
      buffer: Buffer,
      length: number,
      offset: number,
      done: Done,
    ) =>
      answer(tree, handle, done, async ({ device }) => {
        const lengthBytes = clamp(device.sizeBytes, offset, length);
        if (lengthBytes === 0) return length === 0 ? 0 : -errno.ENOSPC;
        await device.write(buffer.subarray(0, lengthBytes), offset);
        return lengthBytes;
      }),
    fsync: (_path: string, _dataOnly: boolean, handle: number, done: Done) =>
      answer(tree, handle, done, async ({ device }) => {
        await device.flush();
        return 0;
      }),
  };
}

/** Names, owners and modes belong to keyvol, whoever asks. */
function refusedOperations(): FuseOperations {
  const refuse = (...args: unknown[]): void => {
    // fuse-native passes the callback last.
    (args.at(-1) as Done)(-errno.EPERM);
  };
  const names = ['chmod', 'chown', 'create', 'mknod', 'mkdir', 'unlink', 'rmdir', 'rename'];
  return Object.fromEntries([...names, 'link', 'symlink'].map((name) => [name, refuse]));
}

function answer(
  tree: PortableTree,
  handle: number,
  done: Done,
  work: (file: FuseFile) => Promise<number>,
): void {
  const file = tree.fileOfHandle(handle);
  if (file === undefined) {
    done(-errno.EIO);
    return;
  }
  tree.request(() => work(file)).then(done, (error: unknown) => done(-errnoOf(error)));
}

/** How much of [offset, offset + length) a disk of `sizeBytes` has. */
function clamp(sizeBytes: number, offsetBytes: number, lengthBytes: number): number {
  return Math.max(0, Math.min(lengthBytes, sizeBytes - offsetBytes));
}

function errnoOf(error: unknown): number {
  if (!(error instanceof Fault)) return errno.EIO;
  const name = mappingOf(error.code).errno;
  return Object.entries(errno).find(([known]) => known === name)?.[1] ?? errno.EIO;
}

function directoryEntries(tree: PortableTree, path: string): string[] | undefined {
  if (path === '/') return ['volumes', 'images'];
  if (path === '/volumes' || path === '/images') return tree.namesIn(path.slice(1));
  return undefined;
}

function directoryAttributes(): object {
  return { mode: fsConstants.S_IFDIR | 0o555, nlink: 2, size: 0, ...ownIds(), ...times() };
}

function attributesOf({ device, mode, readOnly, uid, gid }: FuseFile): object {
  const permissions = readOnly ? mode & ~writeBits : mode;
  return {
    mode: fsConstants.S_IFREG | permissions,
    nlink: 1,
    size: device.sizeBytes,
    blocks: Math.floor(device.stats().allocatedBytes / statUnitBytes),
    blksize: blockBytes,
    uid,
    gid,
    ...times(),
  };
}

function statisticsOf(files: readonly FuseFile[]): object {
  const sum = (part: (file: FuseFile) => number): number =>
    files.reduce((total, file) => total + part(file), 0);
  const sizeBytes = sum(({ device }) => device.sizeBytes);
  const usedBytes = sum(({ device }) => Math.min(device.stats().allocatedBytes, device.sizeBytes));
  const freeBlocks = Math.floor((sizeBytes - usedBytes) / blockBytes);
  return {
    bsize: blockBytes,
    frsize: blockBytes,
    blocks: Math.floor(sizeBytes / blockBytes),
    bfree: freeBlocks,
    bavail: freeBlocks,
    files: files.length,
    namemax: nameMaxBytes,
  };
}

const startedAt = new Date();
const times = (): object => ({ atime: startedAt, mtime: startedAt, ctime: startedAt });
const ownIds = (): object => ({ uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });
