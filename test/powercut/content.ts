/** Contents of a file as blocks that are never changed, so that copies share them. */
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

export const blockBytes = 4096;
const zeroBlock = Buffer.alloc(blockBytes);

/** Blocks of zeros are left out. Bytes after the end are zeros. */
export class Content {
  sizeBytes = 0;
  readonly #blocks: Map<number, Buffer>;

  constructor(blocks = new Map<number, Buffer>()) {
    this.#blocks = blocks;
  }

  copy(): Content {
    const content = new Content(new Map(this.#blocks));
    content.sizeBytes = this.sizeBytes;
    return content;
  }

  write(offsetBytes: number, bytes: Buffer): void {
    this.extend(offsetBytes + bytes.length);
    for (let done = 0; done < bytes.length;) {
      const at = offsetBytes + done;
      const within = at % blockBytes;
      const part = bytes.subarray(done, done + blockBytes - within);
      const block = Buffer.from(this.#blocks.get((at - within) / blockBytes) ?? zeroBlock);
      part.copy(block, within);
      this.#put((at - within) / blockBytes, block);
      done += part.length;
    }
  }

  zero(offsetBytes: number, lengthBytes: number): void {
    const sizeBytes = this.sizeBytes;
    const length = Math.max(0, Math.min(lengthBytes, sizeBytes - offsetBytes));
    if (length > 0) this.write(offsetBytes, Buffer.alloc(length));
  }

  truncate(sizeBytes: number): void {
    this.zero(sizeBytes, Infinity);
    this.sizeBytes = sizeBytes;
  }

  extend(sizeBytes: number): void {
    this.sizeBytes = Math.max(this.sizeBytes, sizeBytes);
  }

  /** A text that two contents share only when they are the same. */
  get print(): string {
    const blocks = [...this.#blocks].sort(([a], [b]) => a - b);
    return `${this.sizeBytes} ${blocks.map(([at, block]) => `${at} ${digestOf(block)}`).join(' ')}`;
  }

  save(path: string): void {
    const file = openSync(path, 'w', 0o600);
    try {
      ftruncateSync(file, this.sizeBytes);
      for (const [at, block] of this.#blocks) {
        const lengthBytes = Math.min(blockBytes, this.sizeBytes - at * blockBytes);
        writeSync(file, block, 0, lengthBytes, at * blockBytes);
      }
    } finally {
      closeSync(file);
    }
  }

  #put(at: number, block: Buffer): void {
    if (block.equals(zeroBlock)) this.#blocks.delete(at);
    else this.#blocks.set(at, block);
  }
}

const digests = new WeakMap<Buffer, string>();

function digestOf(block: Buffer): string {
  const known = digests.get(block);
  if (known !== undefined) return known;
  const digest = createHash('sha1').update(block).digest('base64');
  digests.set(block, digest);
  return digest;
}
