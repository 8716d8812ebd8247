/** The recorder: built, switched on and off, and its log read. */
import { execFileSync } from 'node:child_process';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** One operation, in the order of all. `file` is what the last `open` or `create` of it names. */
export type Recorded =
  | { readonly kind: 'open' | 'create'; readonly file: number; readonly path: string }
  | { readonly kind: 'mkdir' | 'unlink'; readonly path: string }
  | { readonly kind: 'link' | 'rename'; readonly path: string; readonly to: string }
  | {
      readonly kind: 'write';
      readonly file: number;
      readonly offsetBytes: number;
      readonly bytes: Buffer;
    }
  | {
      readonly kind: 'truncate' | 'extend';
      readonly file: number;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: 'zero';
      readonly file: number;
      readonly offsetBytes: number;
      readonly lengthBytes: number;
    }
  | { readonly kind: 'sync'; readonly file: number }
  /** A flush that failed: what was written since the last one is clean, and lost. */
  | { readonly kind: 'failed-sync'; readonly file: number }
  | { readonly kind: 'sync-all' }
  | { readonly kind: 'mark'; readonly text: string };

/** Where a process that is recorded finds its log; made by the process that starts it. */
export function recorderEnvironment(library: string, directory: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LD_PRELOAD: library,
    KEYVOL_RECORD_ROOT: join(directory, 'root'),
    KEYVOL_RECORD_LOG: join(directory, 'log'),
    KEYVOL_RECORD_MARKS: join(directory, 'marks'),
    // What is written through io_uring would pass the recorder by.
    UV_USE_IO_URING: '0',
  };
}

/** The path of the library. Throws when there is no C compiler. */
export function buildRecorder(directory: string): string {
  const library = join(directory, 'recorder.so');
  const sources = ['recorder.c', 'unfollowed.c', 'nonces.c'].map((name) => `test/powercut/${name}`);
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];
  execFileSync('cc', [...flags, '-o', library, ...sources, '-ldl'], { stdio: 'inherit' });
  return library;
}

/** Switches the recorder of this process, which `recorderEnvironment` made it start with. */
export class Recorder {
  readonly root: string;
  readonly #marks: number;

  /** Paused at first. */
  constructor() {
    this.root = process.env.KEYVOL_RECORD_ROOT ?? '';
    this.#marks = openSync(process.env.KEYVOL_RECORD_MARKS ?? '', 'a', 0o600);
  }

  resume(): void {
    this.mark('!resume');
  }

  pause(): void {
    this.mark('!pause');
  }

  mark(text: string): void {
    writeSync(this.#marks, `${text}\n`);
  }
}

/** What a recorder that was started for `directory` has written down. */
export function readRecording(directory: string): Recorded[] {
  return readLog(readFileSync(join(directory, 'log')));
}

const headBytes = 40;

function readLog(log: Buffer): Recorded[] {
  const records: Recorded[] = [];
  for (let at = 0; at < log.length;) {
    const head = log.subarray(at, at + headBytes);
    const firstBytes = head.readUInt32LE(4);
    const secondBytes = head.readUInt32LE(8);
    const first = log.subarray(at + headBytes, at + headBytes + firstBytes);
    const end = at + headBytes + firstBytes + secondBytes;
    records.push(readRecord(head, first, log.subarray(end - secondBytes, end)));
    at = end;
  }
  return records;
}

/** The layout and the kinds are those of recorder.c. */
function readRecord(head: Buffer, first: Buffer, second: Buffer): Recorded {
  const number = (offset: number): number => Number(head.readBigUInt64LE(offset));
  const file = number(16);
  const path = first.toString();
  const to = second.toString();
  switch (head.readUInt32LE(0)) {
    case 1:
      return { kind: 'open', file, path };
    case 2:
      return { kind: 'create', file, path };
    case 3:
      return { kind: 'mkdir', path };
    case 4:
      return { kind: 'link', path, to };
    case 5:
      return { kind: 'unlink', path };
    case 6:
      return { kind: 'rename', path, to };
    case 7:
      return { kind: 'write', file, offsetBytes: number(24), bytes: first };
    case 8:
      return { kind: 'truncate', file, sizeBytes: number(24) };
    case 9:
      return { kind: 'zero', file, offsetBytes: number(24), lengthBytes: number(32) };
    case 10:
      return { kind: 'extend', file, sizeBytes: number(24) };
    case 11:
      return { kind: 'sync', file };
    case 12:
      return { kind: 'sync-all' };
    case 13:
      return { kind: 'mark', text: path.trimEnd() };
    default:
      throw new Error(`the recorder cannot follow: ${path}`);
  }
}
