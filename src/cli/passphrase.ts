/** Passphrases of files that other tools open: read as bytes, never a string, and zeroed after use. */
import { createReadStream, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { isatty, ReadStream } from 'node:tty';
import { Fault } from '../fault.js';
import { isInteractive } from './terminal.js';

/** GRUB takes no more. */
const longestBytes = 255;

const keys = { interrupt: 0x03, end: 0x04, back: 0x08, newline: 0x0a, enter: 0x0d, clear: 0x15 };
const deleteKey = 0x7f;

/**
 * The first line that `fd` gives, or what a person types twice. The caller zeros it. Throws
 * INVALID_ARGUMENT when it is empty or too long, USAGE where there is nobody to ask.
 */
export async function readPassphrase(fd: number | undefined): Promise<Buffer> {
  if (fd !== undefined) return firstLineOf(fd);
  if (isInteractive()) return typedTwice();
  throw new Fault('USAGE', 'a LUKS2 file needs a passphrase, and there is nobody to ask', {
    hint: 'give --passphrase-fd, for example: --passphrase-fd 3 3< <(pass show db)',
  });
}

async function firstLineOf(fd: number): Promise<Buffer> {
  const line = new Line();
  try {
    for await (const chunk of streamOf(fd)) {
      // No encoding is set, so that all chunks are buffers.
      const bytes = chunk as Buffer;
      const end = bytes.indexOf(keys.newline);
      for (const byte of end < 0 ? bytes : bytes.subarray(0, end)) line.add(byte);
      bytes.fill(0);
      if (end >= 0) break;
    }
  } catch (cause) {
    throw unreadable(fd, cause);
  }
  return line.passphrase();
}

/** Not by fs.read: one that waits for a pipe would keep an interrupted process from ending. */
function streamOf(fd: number): Readable {
  const file = fstatSync(fd);
  if (isatty(fd)) return new ReadStream(fd);
  if (file.isFIFO() || file.isSocket()) return new Socket({ fd, readable: true, writable: false });
  if (file.isFile() || file.isCharacterDevice()) return createReadStream('', { fd });
  // Node itself opens descriptors of this kind where the shell has left a gap.
  throw new Error('not a file or pipe');
}

function unreadable(fd: number, cause: unknown): Fault {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const message = `cannot read a passphrase from descriptor ${fd} (${code})`;
  const hint = 'open it in the shell, for example: --passphrase-fd 3 3<FILE';
  return new Fault('INVALID_ARGUMENT', message, { cause, hint });
}

async function typedTwice(): Promise<Buffer> {
  const [first, again] = await type(['new passphrase: ', 'once more: ']);
  try {
    const passphrase = first?.passphrase();
    if (again !== undefined && passphrase?.equals(again.bytes) === true) return passphrase;
    passphrase?.fill(0);
  } finally {
    again?.bytes.fill(0);
  }
  throw new Fault('INVALID_ARGUMENT', 'the two passphrases are not the same');
}

/** A line for each prompt, which is not shown. Throws INTERRUPTED at Ctrl-C. */
async function type(prompts: readonly string[]): Promise<Line[]> {
  const lines: Line[] = [];
  const { stdin, stderr } = process;
  stdin.setRawMode(true);
  stderr.write(prompts[0] ?? '');
  let line = new Line();
  try {
    for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
      // As in firstLineOf.
      const bytes = chunk as Buffer;
      for (const key of bytes) {
        if (line.press(key) === 'more') continue;
        lines.push(line);
        line = new Line();
        stderr.write(`\n${prompts[lines.length] ?? ''}`);
      }
      bytes.fill(0);
      if (lines.length >= prompts.length) break;
    }
  } catch (error) {
    stderr.write('\n');
    throw error;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
  }
  return lines;
}

class Line {
  // One more, to see that there are too many.
  readonly #room = Buffer.alloc(longestBytes + 1);
  #length = 0;

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  add(byte: number): void {
    if (this.#length === this.#room.length) return;
    this.#room[this.#length] = byte;
    this.#length += 1;
  }

  /** As a terminal edits a line. */
  press(key: number): 'more' | 'done' {
    if (key === keys.interrupt) throw new Fault('INTERRUPTED', 'interrupted');
    if (key === keys.enter || key === keys.newline || key === keys.end) return 'done';
    if (key === keys.clear) this.#length = 0;
    else if (key === keys.back || key === deleteKey) this.#dropCharacter();
    else this.add(key);
    return 'more';
  }

  /** Throws INVALID_ARGUMENT when it cannot be one. */
  passphrase(): Buffer {
    if (this.#length === 0) throw new Fault('INVALID_ARGUMENT', 'the passphrase is empty');
    if (this.#length <= longestBytes) return this.bytes;
    this.#room.fill(0);
    throw new Fault('INVALID_ARGUMENT', `the passphrase has more than ${longestBytes} bytes`);
  }

  /** Of UTF-8, whose later bytes begin with the bits 10. */
  #dropCharacter(): void {
    while (this.#length > 0) {
      this.#length -= 1;
      if (((this.#room[this.#length] ?? 0) & 0xc0) !== 0x80) return;
    }
  }
}
