/** The first bytes of a foreign image, looked at by us before any program is let at it. */
import type { FileHandle } from 'node:fs/promises';
import { Fault } from '../fault.js';

/** The largest disk there is room for: 64 TiB. */
export const maxVirtualBytes = 2 ** 46;

export interface Inspected {
  /** QEMU's name of the format. */
  readonly driver: string;
  /** As the header says. */
  readonly virtualBytes: number;
  readonly remarks: readonly string[];
}

export class ImageHeader {
  readonly #file: FileHandle;

  constructor(
    file: FileHandle,
    readonly format: string,
    readonly path: string,
    readonly fileBytes: number,
  ) {
    this.#file = file;
  }

  /** Exactly so many bytes. Throws INVALID_ARGUMENT where the file ends before. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    if (offsetBytes + lengthBytes > this.fileBytes) throw this.unsound('it is cut short');
    const bytes = Buffer.alloc(lengthBytes);
    const { bytesRead } = await this.#file.read(bytes, 0, lengthBytes, offsetBytes);
    if (bytesRead < lengthBytes) throw this.unsound('it is cut short');
    return bytes;
  }

  /** An image that is not what it should be. */
  unsound(why: string): Fault {
    return new Fault(
      'INVALID_ARGUMENT',
      `${this.path} is not a sound ${this.format} image: ${why}`,
    );
  }

  /** A sound image that needs more than itself. */
  refused(what: string, hint: string): Fault {
    return new Fault('INVALID_ARGUMENT', `${this.path} ${what}`, { hint });
  }

  /** Of an image whose content is partly in other files. */
  notAlone(what: string): Fault {
    const cure = `make it whole where its files are: qemu-img convert -O qcow2 ${this.path} WHOLE.qcow2`;
    return this.refused(`${what}, which is refused`, cure);
  }

  /** As a safe integer. Throws INVALID_SIZE for a disk that nobody could hold. */
  virtualSize(bytes: bigint): number {
    if (bytes > 0n && bytes <= BigInt(maxVirtualBytes)) return Number(bytes);
    const what = `${this.path} says that its disk has ${bytes} bytes`;
    throw new Fault('INVALID_SIZE', what, { hint: `at most ${maxVirtualBytes} can be imported` });
  }
}
