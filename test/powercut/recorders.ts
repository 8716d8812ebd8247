/** What a process that is recorded tells its recorder: of its files, or of the disk below them. */
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { markRecord } from './recorded.js';

export interface Recorder {
  /** What is recorded lies below it. */
  readonly root: string;
  /** From here on; paused at first. */
  resume(): void;
  pause(): void;
  /** Lets the nonces of wrapped keys count from 0 again. */
  resetNonces(): void;
  mark(text: string): void;
}

/** The library that records files is loaded into the process itself. */
export function fileRecorderEnvironment(library: string, directory: string): NodeJS.ProcessEnv {
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

/** A disk that is recorded is mounted on `root`; marks go to its log. */
export function blockRecorderEnvironment(root: string, directory: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    KEYVOL_RECORD_ROOT: root,
    KEYVOL_RECORD_BLOCKS: join(directory, 'log'),
  };
}

/** The recorder that one of these environments names. */
export function recorderOfThisProcess(): Recorder {
  const root = process.env.KEYVOL_RECORD_ROOT ?? '';
  const log = process.env.KEYVOL_RECORD_BLOCKS;
  if (log !== undefined) return new BlockRecorder(root, log);
  return new FileRecorder(root, process.env.KEYVOL_RECORD_MARKS ?? '');
}

class FileRecorder implements Recorder {
  readonly root: string;
  readonly #marks: number;

  constructor(root: string, marks: string) {
    this.root = root;
    this.#marks = openSync(marks, 'a', 0o600);
  }

  resume(): void {
    this.mark('!resume');
  }

  pause(): void {
    this.mark('!pause');
  }

  resetNonces(): void {
    this.mark('!reset-nonces');
  }

  mark(text: string): void {
    writeSync(this.#marks, `${text}\n`);
  }
}

class BlockRecorder implements Recorder {
  readonly root: string;
  readonly #log: number;

  constructor(root: string, log: string) {
    this.root = root;
    this.#log = openSync(log, 'a', 0o600);
  }

  resume(): void {
    // The disk is recorded as long as it is mounted.
  }

  pause(): void {
    // As above.
  }

  resetNonces(): void {
    throw new Error('only the library that records files can do that');
  }

  mark(text: string): void {
    writeSync(this.#log, markRecord(text));
  }
}
