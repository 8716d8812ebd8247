/** A compressed raw disk, decompressed twice: to learn its size, and to be imported. */
import type { ChildProcess } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { roundUpToSector } from '../disk/sizes.js';
import { Fault } from '../fault.js';
import { startDecompressor, statusOf, wordsOf, type Decompressor } from './confined.js';
import { assertRawHead, compressionOfName, type Compression, type ImageFormat } from './format.js';
import { maxVirtualBytes } from './image-header.js';
import { becameShorter, sizeOf } from './open-file.js';
import { chunkBytes, paddingRemarks, type Chunk, type DiskSource } from './source.js';

const decompressors: Record<Compression, Decompressor> = {
  gzip: { program: 'gzip', debianPackage: 'gzip' },
  xz: { program: 'xz', debianPackage: 'xz-utils' },
  zstd: { program: 'zstd', debianPackage: 'zstd' },
};
const headBytes = 128;
/** Of processor time: a few bytes may not cost more, however much they decompress to. */
const leastCpuSeconds = 30;
const fileBytesPerCpuSecond = 2 * 2 ** 20;

export interface Compressed {
  readonly compression: Compression;
  /** The name without the ending of the compression. */
  readonly inner: string;
  readonly format: ImageFormat;
  /** That the format was said, so that raw bytes may look like anything. */
  readonly isGiven: boolean;
}

export class CompressedSource implements DiskSource {
  readonly path: string;
  readonly contentBytes: number;
  readonly #file: FileHandle;
  readonly #fileBytes: number;
  readonly #stream: Decompression;
  #last: Promise<void> = Promise.resolve();

  private constructor(
    file: FileHandle,
    path: string,
    fileBytes: number,
    contentBytes: number,
    stream: Decompression,
  ) {
    this.#file = file;
    this.path = path;
    this.#fileBytes = fileBytes;
    this.contentBytes = contentBytes;
    this.#stream = stream;
  }

  /**
   * Owns `file` when it does not throw. Throws UNSUPPORTED for a foreign format inside,
   * LIMIT_REACHED for what decompresses without end, INVALID_ARGUMENT for what is damaged.
   */
  static async open(
    file: FileHandle,
    path: string,
    fileBytes: number,
    content: Compressed,
    signal?: AbortSignal,
  ): Promise<CompressedSource> {
    assertRawInside(path, content);
    const begin = (): Promise<Decompression> =>
      Decompression.start(content.compression, file.fd, fileBytes, path);
    const contentBytes = await measure(await begin(), path, content, signal);
    return new CompressedSource(file, path, fileBytes, contentBytes, await begin());
  }

  get diskBytes(): number {
    return roundUpToSector(this.contentBytes);
  }

  get remarks(): readonly string[] {
    return paddingRemarks(this.contentBytes);
  }

  /** All of it: where holes are is not known before. */
  async *chunks(): AsyncGenerator<Chunk> {
    for (let at = 0; at < this.contentBytes; at += chunkBytes) {
      yield [at, Math.min(chunkBytes, this.contentBytes - at)];
    }
  }

  /** Only in the order of `chunks`. */
  read(buffer: Buffer): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (!(await this.#stream.fill(buffer))) throw becameShorter(this.path);
    });
    return this.#last;
  }

  async assertWhole(): Promise<void> {
    const fileBytes = await sizeOf(this.#file, this.path);
    if (fileBytes < this.#fileBytes || !(await this.#stream.isAtEnd())) {
      throw new Fault('IO_ERROR', `${this.path} was changed while it was read`);
    }
    await this.#stream.assertEndedWell();
  }

  stop(): void {
    this.#stream.kill();
  }

  async close(): Promise<void> {
    await this.#stream.end();
    await this.#file.close();
  }
}

/** Counts what comes, to its end. */
async function measure(
  stream: Decompression,
  path: string,
  { isGiven }: Compressed,
  signal?: AbortSignal,
): Promise<number> {
  const stop = (): void => stream.kill();
  signal?.addEventListener('abort', stop);
  try {
    let contentBytes = 0;
    for await (const piece of stream.pieces()) {
      if (contentBytes === 0 && !isGiven) assertRawHead(piece.subarray(0, headBytes), path);
      contentBytes += piece.length;
      if (contentBytes > maxVirtualBytes) throw tooMuch(path);
    }
    if (signal?.aborted === true) throw new Fault('INTERRUPTED', 'stopped on request');
    await stream.assertEndedWell();
    if (contentBytes === 0) throw new Fault('INVALID_SIZE', `${path} holds nothing`);
    return contentBytes;
  } finally {
    signal?.removeEventListener('abort', stop);
    await stream.end();
  }
}

function assertRawInside(path: string, { compression, inner, format }: Compressed): void {
  const isTwice = compressionOfName(inner)[0] !== undefined;
  if (format === 'raw' && !isTwice) return;
  const what = isTwice ? 'compressed twice' : `a ${format} image that is compressed`;
  throw new Fault('UNSUPPORTED', `${path} is ${what}`, {
    hint: `decompress it first: ${compression} -dk ${path}`,
  });
}

function tooMuch(path: string): Fault {
  return new Fault('LIMIT_REACHED', `${path} decompresses to more than its size allows`, {
    hint: 'if you trust it, decompress it first',
  });
}

class Decompression {
  readonly #child: ChildProcess;
  readonly #path: string;
  readonly #said: () => string;
  readonly #ended: Promise<number>;
  readonly #pieces: AsyncIterator<unknown>;
  #left: Buffer = Buffer.alloc(0);

  private constructor(child: ChildProcess, path: string) {
    this.#child = child;
    this.#path = path;
    this.#said = wordsOf(child, child.stderr);
    this.#ended = statusOf(child);
    if (child.stdout === null) throw new Fault('INTERNAL', 'a program without its output');
    this.#pieces = child.stdout[Symbol.asyncIterator]();
  }

  static async start(
    compression: Compression,
    file: number,
    fileBytes: number,
    path: string,
  ): Promise<Decompression> {
    const cpuSeconds = leastCpuSeconds + Math.ceil(fileBytes / fileBytesPerCpuSecond);
    const child = await startDecompressor(decompressors[compression], file, cpuSeconds);
    return new Decompression(child, path);
  }

  async *pieces(): AsyncGenerator<Buffer> {
    for (let piece = await this.#next(); piece !== undefined; piece = await this.#next())
      yield piece;
  }

  /** False where the end comes before `buffer` is full. */
  async fill(buffer: Buffer): Promise<boolean> {
    for (let done = 0; done < buffer.length;) {
      if (this.#left.length === 0) {
        const piece = await this.#next();
        if (piece === undefined) return false;
        this.#left = piece;
      }
      const copied = this.#left.copy(buffer, done);
      this.#left = this.#left.subarray(copied);
      done += copied;
    }
    return true;
  }

  async isAtEnd(): Promise<boolean> {
    return this.#left.length === 0 && (await this.#next()) === undefined;
  }

  /** After the last piece. */
  async assertEndedWell(): Promise<void> {
    const status = await this.#ended;
    if (status === 0) return;
    if (status >= 128) throw tooMuch(this.#path);
    const why = this.#said()
      .trim()
      .split('\n')[0]
      ?.replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 300);
    throw new Fault('INVALID_ARGUMENT', `${this.#path} cannot be decompressed: ${why ?? ''}`);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.kill();
    this.#child.stdout?.destroy();
    await this.#ended;
  }

  async #next(): Promise<Buffer | undefined> {
    try {
      const next = await this.#pieces.next();
      const piece: unknown = next.done === true ? undefined : next.value;
      return Buffer.isBuffer(piece) ? piece : undefined;
    } catch {
      // It was ended by us.
      return undefined;
    }
  }
}
