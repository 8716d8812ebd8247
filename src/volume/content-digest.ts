/** SHA-256 of a disk's content, holes as zeros, while it is imported. */
import type { Addon, Sha256 } from '../device/index.js';

/** Zeros take as long as data, about a second for 2 GiB: more of them are not worth it. */
export const mostHoleBytes = 32 * 2 ** 30;
/** So that it can be stopped. */
const pieceBytes = 256 * 1048576;

export class ContentDigest {
  #sha256: Sha256 | undefined;
  #doneBytes = 0;
  #holeBytes = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(addon: Pick<Addon, 'newSha256'>) {
    this.#sha256 = addon.newSha256();
  }

  /** Data behind all that was added. The caller must not change it until the promise settles. */
  add(data: Buffer, offsetBytes: number): Promise<void> {
    this.#zerosUpTo(offsetBytes);
    this.#doneBytes = offsetBytes + data.length;
    return this.#then((sha256) => sha256.update(data));
  }

  /** In hexadecimal, of so many bytes; undefined where there were too many holes. */
  async finish(contentBytes: number): Promise<string | undefined> {
    this.#zerosUpTo(contentBytes);
    await this.#last;
    return this.#sha256?.digest().toString('hex');
  }

  /** What was added is soon no longer read. */
  async stop(): Promise<void> {
    this.#sha256 = undefined;
    await this.#last.catch(() => undefined);
  }

  #zerosUpTo(offsetBytes: number): void {
    const lengthBytes = offsetBytes - this.#doneBytes;
    this.#holeBytes += lengthBytes;
    if (this.#holeBytes > mostHoleBytes) this.#sha256 = undefined;
    for (let left = lengthBytes; left > 0 && this.#sha256 !== undefined; left -= pieceBytes) {
      const piece = Math.min(left, pieceBytes);
      void this.#then((sha256) => sha256.updateZeros(piece));
    }
    this.#doneBytes = offsetBytes;
  }

  #then(work: (sha256: Sha256) => Promise<void>): Promise<void> {
    this.#last = this.#last.then(() =>
      this.#sha256 === undefined ? undefined : work(this.#sha256),
    );
    // It is awaited with the next one, or at the end.
    this.#last.catch(() => undefined);
    return this.#last;
  }
}
