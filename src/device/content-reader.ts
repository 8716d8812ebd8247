/** The part of the addon that reads what becomes the content of a disk. */

/** One call after the other: the next one when the last one's promise has settled. */
export interface Sha256 {
  /** The caller must not change the buffer until the promise settles. */
  update(data: Buffer): Promise<void>;
  updateZeros(lengthBytes: number): Promise<void>;
  /** 32 bytes. Ends it. */
  digest(): Buffer;
}

export interface ContentReader {
  newSha256(): Sha256;
  /**
   * The first run of data of an open file at or after an offset, for holes need not be read;
   * undefined where none is left. May end behind the file's end. Moves the descriptor's position.
   */
  nextData(
    fd: number,
    offsetBytes: number,
  ): Promise<{ readonly startBytes: number; readonly endBytes: number } | undefined>;
  /**
   * A socket that listens, for a child that is to accept, and a connection to it, which waits
   * there. `path` is its name for the moment of this call. The caller closes both descriptors.
   */
  connectedListener(path: string): { readonly listener: number; readonly client: number };
  /**
   * Fills `buffer` from a socket. Throws IO_ERROR where the other end closes first, BUSY where
   * nothing arrives for `patienceMs`.
   */
  receive(socket: number, buffer: Buffer, patienceMs: number): Promise<void>;
}
