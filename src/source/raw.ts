/** A raw file or block device as the source of a disk. */
import type { FileHandle } from 'node:fs/promises';
import type { Addon } from '../device/index.js';
import { roundUpToSector } from '../disk/sizes.js';
import { becameShorter, sizeOf } from './open-file.js';
import { chunksOfRuns, paddingRemarks, type Chunk, type DiskSource, type Run } from './source.js';

export class RawSource implements DiskSource {
  readonly path: string;
  readonly contentBytes: number;
  readonly #addon: Pick<Addon, 'nextData'>;
  readonly #file: FileHandle;

  /** Owns `file`, which has `fileBytes` bytes. */
  constructor(addon: Pick<Addon, 'nextData'>, file: FileHandle, path: string, fileBytes: number) {
    this.#addon = addon;
    this.#file = file;
    this.path = path;
    this.contentBytes = fileBytes;
  }

  get diskBytes(): number {
    return roundUpToSector(this.contentBytes);
  }

  get remarks(): readonly string[] {
    return paddingRemarks(this.contentBytes);
  }

  chunks(): AsyncIterable<Chunk> {
    return chunksOfRuns(this.#runs(), this.contentBytes);
  }

  async read(buffer: Buffer, offsetBytes: number): Promise<void> {
    for (let done = 0; done < buffer.length;) {
      const left = buffer.length - done;
      const { bytesRead } = await this.#file.read(buffer, done, left, offsetBytes + done);
      if (bytesRead === 0) throw becameShorter(this.path);
      done += bytesRead;
    }
  }

  /** What is cut off looks like a hole. */
  async assertWhole(): Promise<void> {
    const fileBytes = await sizeOf(this.#file, this.path);
    if (fileBytes < this.contentBytes) throw becameShorter(this.path);
  }

  stop(): void {
    // Reads of files end by themselves.
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async *#runs(): AsyncGenerator<Run> {
    for (let at = 0; at < this.contentBytes;) {
      const data = await this.#addon.nextData(this.#file.fd, at);
      if (data === undefined) return;
      yield [data.startBytes, Math.min(data.endBytes, this.contentBytes)];
      at = data.endBytes;
    }
  }
}
