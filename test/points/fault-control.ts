/** The library that makes system calls fail: built, loaded, and told what to do. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

/** The classes of faults.c. */
const opens = 1;
const makes = 2;
const reads = 4;
const writes = 8;
const syncs = 16;
const sizes = 32;
const names = 64;
const looks = 128;
const lists = 256;
const memory = 512;
const changes = makes | writes | sizes | names;
const all = opens | reads | syncs | looks | lists | changes;

export interface FaultKind {
  readonly name: string;
  /** Which calls are counted and fail. */
  readonly classes: number;
  /** 0: the call does half of what was asked. */
  readonly errno: number;
  /** From the call on which it is armed, for good. */
  readonly sticky: boolean;
}

const { EIO, ENOSPC, EMFILE, ENOMEM, EROFS } = constants.errno;

function onceAndForGood(name: string, classes: number, errno: number): FaultKind[] {
  return [
    { name: `${name} once`, classes, errno, sticky: false },
    { name: `${name} for good`, classes, errno, sticky: true },
  ];
}

export const faultKinds: readonly FaultKind[] = [
  ...onceAndForGood('EIO', all, EIO),
  ...onceAndForGood('EIO of flushes', syncs, EIO),
  { name: 'half a read', classes: reads, errno: 0, sticky: false },
  { name: 'half a write', classes: writes, errno: 0, sticky: false },
  ...onceAndForGood('ENOSPC', changes, ENOSPC),
  ...onceAndForGood('EMFILE', opens | makes | lists, EMFILE),
  ...onceAndForGood('ENOMEM', opens | makes | looks | lists | memory, ENOMEM),
  { name: 'EROFS for good', classes: changes, errno: EROFS, sticky: true },
];

/** The environment of a process whose calls below `root`, a filesystem of its own, can fail. */
export function faultEnvironment(root: string, directory: string): NodeJS.ProcessEnv {
  const library = join(directory, 'faults.so');
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];
  const sources = ['test/points/faults.c'];
  execFileSync('cc', [...flags, '-o', library, ...sources, '-ldl'], { stdio: 'inherit' });
  const control = join(directory, 'control');
  writeFileSync(control, Buffer.alloc(controlBytes));
  return {
    ...process.env,
    LD_PRELOAD: library,
    KEYVOL_FAULT_ROOT: root,
    KEYVOL_FAULT_CONTROL: control,
    // What is done through io_uring would pass the library by.
    UV_USE_IO_URING: '0',
  };
}

/** As struct Control of faults.c. */
const controlBytes = 296;
const at = { armed: 0, classes: 4, errno: 8, sticky: 12, nth: 16, calls: 24, hits: 32, what: 40 };

/** Arms and disarms the library of this process. */
export class FaultControl {
  readonly root: string;
  readonly #path: string;

  constructor() {
    this.root = process.env.KEYVOL_FAULT_ROOT ?? '';
    this.#path = process.env.KEYVOL_FAULT_CONTROL ?? '';
  }

  /** The `nth` call that `kind` concerns fails, counted from 1 and from now on. */
  arm(kind: FaultKind, nth: number): void {
    const bytes = Buffer.alloc(controlBytes);
    bytes.writeInt32LE(1, at.armed);
    bytes.writeUInt32LE(kind.classes, at.classes);
    bytes.writeInt32LE(kind.errno, at.errno);
    bytes.writeInt32LE(kind.sticky ? 1 : 0, at.sticky);
    bytes.writeBigInt64LE(BigInt(nth), at.nth);
    this.#write(bytes);
  }

  /** The first call that failed; undefined when it was not reached. */
  disarm(): string | undefined {
    this.#write(Buffer.alloc(4));
    const file = openSync(this.#path, 'r');
    try {
      const bytes = Buffer.alloc(controlBytes);
      readSync(file, bytes, 0, controlBytes, 0);
      if (bytes.readBigInt64LE(at.hits) === 0n) return undefined;
      return bytes.toString('utf8', at.what, bytes.indexOf(0, at.what));
    } finally {
      closeSync(file);
    }
  }

  #write(bytes: Buffer): void {
    const file = openSync(this.#path, 'r+');
    try {
      writeSync(file, bytes, 0, bytes.length, 0);
    } finally {
      closeSync(file);
    }
  }
}
