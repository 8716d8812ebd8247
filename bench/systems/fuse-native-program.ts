/** `node fuse-native-program.js FILE MOUNTPOINT`: serves FILE as MOUNTPOINT/disk until unmounted. */
import { constants, fdatasync, fstatSync, openSync, read, write } from 'node:fs';
import { createRequire } from 'node:module';
import { constants as os } from 'node:os';

type Done = (result: number, value?: unknown) => void;
type FuseNativeClass = new (
  mountPoint: string,
  operations: object,
  options: object,
) => { mount(done: (error?: Error | null) => void): void };

const [path = '', mountPoint = ''] = process.argv.slice(2);
const file = openSync(path, 'r+');
const { size, mtime } = fstatSync(file);

function done(done: Done): (error: NodeJS.ErrnoException | null, count?: number) => void {
  return (error, count = 0) => done(error === null ? count : (error.errno ?? -os.errno.EIO));
}

function attributes(mode: number, sizeBytes: number): object {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return { mode, size: sizeBytes, nlink: 1, mtime, atime: mtime, ctime: mtime, ...owner };
}

const operations = {
  getattr(name: string, answer: Done): void {
    if (name === '/disk') answer(0, attributes(constants.S_IFREG | 0o600, size));
    else if (name === '/') answer(0, attributes(constants.S_IFDIR | 0o700, 0));
    else answer(-os.errno.ENOENT);
  },
  readdir: (_name: string, answer: Done) => answer(0, ['disk']),
  open: (_name: string, _flags: number, answer: Done) => answer(0, 1),
  release: (_name: string, _handle: number, answer: Done) => answer(0),
  read(_name: string, _handle: number, out: Buffer, length: number, at: number, answer: Done) {
    read(file, out, 0, length, at, done(answer));
  },
  write(_name: string, _handle: number, data: Buffer, length: number, at: number, answer: Done) {
    write(file, data, 0, length, at, done(answer));
  },
  fsync: (_name: string, _dataOnly: boolean, _handle: number, answer: Done) =>
    fdatasync(file, done(answer)),
};

// The package has no types; this is what its README documents.
const Fuse = createRequire(import.meta.url)('fuse-native') as FuseNativeClass;
const options = {
  fsname: 'fuse-native',
  // fuse-native has no names for the options after the comma, and joins what it is given.
  subtype: 'fuse-native,direct_io,big_writes,max_read=131072',
  timeout: false,
};
new Fuse(mountPoint, operations, options).mount((error) => {
  if (error instanceof Error) throw error;
});
