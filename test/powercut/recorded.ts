/** The recorders, built, and what they have written down. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

/** The path of the library that records files. Throws when there is no C compiler. */
export function buildFileRecorder(directory: string): string {
  return build(directory, 'files.so', ['recorder.c', 'unfollowed.c', 'nonces.c']);
}

/** The path of the nbdkit plug-in that records a disk. Throws when it cannot be built. */
export function buildBlockRecorder(directory: string): string {
  return build(directory, 'blocks.so', ['block_recorder.c']);
}

function build(directory: string, name: string, files: readonly string[]): string {
  const library = join(directory, name);
  const sources = files.map((file) => `test/powercut/${file}`);
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];
  execFileSync('cc', [...flags, '-o', library, ...sources, '-ldl'], { stdio: 'inherit' });
  return library;
}

/** What a recorder that was started for `directory` has written down. */
export function readRecording(directory: string): Recorded[] {
  return readLog(readFileSync(join(directory, 'log')));
}

/** From here on `file` means what stands at `path`. As a recorder would write it. */
export function openRecord(file: number, path: string): Buffer {
  return textRecord(kOpen, file, path);
}

/** As a recorder would write it. */
export function markRecord(text: string): Buffer {
  return textRecord(kMark, 0, text);
}

function textRecord(kind: number, file: number, text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(payload.length, 4);
  head.writeBigUInt64LE(BigInt(file), 16);
  return Buffer.concat([head, payload]);
}

const headBytes = 40;
const kOpen = 1;
const kMark = 13;

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

/** The layout and the kinds are those of recorder.h. */
function readRecord(head: Buffer, first: Buffer, second: Buffer): Recorded {
  const number = (offset: number): number => Number(head.readBigUInt64LE(offset));
  const file = number(16);
  const path = first.toString();
  const to = second.toString();
  switch (head.readUInt32LE(0)) {
    case kOpen:
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
    case kMark:
      return { kind: 'mark', text: path.trimEnd() };
    default:
      throw new Error(`the recorder cannot follow: ${path}`);
  }
}
