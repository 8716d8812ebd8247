/** The part of the NBD protocol that reads a disk in order, over a socket to a server of ours. */
import { Fault } from '../fault.js';
import { broken, type Connection } from './nbd-connection.js';
import { shakeHands } from './nbd-handshake.js';
import type { Run } from './source.js';

const requestMagic = 0x25609513;
const replyMagic = 0x668e33ef;
const requestBytes = 28;
const replyBytes = 20;
const command = { read: 0, blockStatus: 7 };
const dontFragment = 1 << 2;
const chunkType = { none: 0, offsetData: 1, blockStatus: 5, error: 1 << 15 };
const isLast = 1;
const isZero = 2;
/** Of a reply that is not data: QEMU tells of 131,072 extents at most. */
const mostBytes = 4 + 8 * 131_072;
const mostAskedBytes = 2 ** 32 - 65536;

interface Pending {
  readonly offsetBytes: number;
  /** Where data go to; without it the reply's extents are kept. */
  readonly buffer?: Buffer;
  extents?: Buffer;
  hasData: boolean;
  failed?: Fault;
  readonly resolve: (reply: Pending) => void;
  readonly reject: (error: unknown) => void;
}

export class NbdClient {
  readonly sizeBytes: number;
  readonly #server: Connection;
  readonly #pending = new Map<bigint, Pending>();
  #lastCookie = 0n;
  #receiving: Promise<void> | undefined;

  private constructor(server: Connection, sizeBytes: number) {
    this.#server = server;
    this.sizeBytes = sizeBytes;
  }

  /** Throws IO_ERROR or BUSY when nobody answers, or not as the protocol says. */
  static async open(server: Connection): Promise<NbdClient> {
    return new NbdClient(server, await shakeHands(server));
  }

  /** Throws IO_ERROR when the server cannot read there. */
  async read(buffer: Buffer, offsetBytes: number): Promise<void> {
    await this.#ask(command.read, dontFragment, offsetBytes, buffer.length, buffer);
  }

  /** What is not known to be zeros. */
  async *runs(): AsyncGenerator<Run> {
    for (let at = 0; at < this.sizeBytes;) {
      const asked = Math.min(mostAskedBytes, this.sizeBytes - at);
      const { extents } = await this.#ask(command.blockStatus, 0, at, asked);
      // The first four bytes name the context, of which there is only one.
      for (let next = 4; extents !== undefined && next + 8 <= extents.length; next += 8) {
        const length = extents.readUInt32BE(next);
        if (length === 0) throw broken('an extent of nothing');
        const end = Math.min(this.sizeBytes, at + length);
        if ((extents.readUInt32BE(next + 4) & isZero) === 0) yield [at, end];
        at = end;
      }
    }
  }

  /** When the socket is at its end: nothing reads from it any more. */
  async ended(): Promise<void> {
    await this.#receiving;
  }

  #ask(
    what: number,
    flags: number,
    offsetBytes: number,
    lengthBytes: number,
    buffer?: Buffer,
  ): Promise<Pending> {
    const cookie = ++this.#lastCookie;
    const request = Buffer.alloc(requestBytes);
    request.writeUInt32BE(requestMagic, 0);
    request.writeUInt16BE(flags, 4);
    request.writeUInt16BE(what, 6);
    request.writeBigUInt64BE(cookie, 8);
    request.writeBigUInt64BE(BigInt(offsetBytes), 16);
    request.writeUInt32BE(lengthBytes, 24);
    return new Promise((resolve, reject) => {
      const target = buffer === undefined ? {} : { buffer };
      this.#pending.set(cookie, { offsetBytes, ...target, hasData: false, resolve, reject });
      this.#server.send(request).catch((error: unknown) => this.#failAll(error));
      this.#receiving ??= this.#receiveAll();
    });
  }

  /** Runs while anything is asked for. */
  async #receiveAll(): Promise<void> {
    try {
      while (this.#pending.size > 0) await this.#receiveOne();
    } catch (error) {
      this.#failAll(error);
    }
    this.#receiving = undefined;
  }

  async #receiveOne(): Promise<void> {
    const header = await this.#server.receive(replyBytes);
    if (header.readUInt32BE(0) !== replyMagic) throw broken('no reply');
    const [flags, type] = [header.readUInt16BE(4), header.readUInt16BE(6)];
    const [cookie, length] = [header.readBigUInt64BE(8), header.readUInt32BE(16)];
    const pending = this.#pending.get(cookie);
    if (pending === undefined) throw broken('a reply that nobody asked for');
    await this.#receiveContent(pending, type, length);
    if ((flags & isLast) === 0) return;
    this.#pending.delete(cookie);
    settle(pending);
  }

  async #receiveContent(pending: Pending, type: number, length: number): Promise<void> {
    const { buffer } = pending;
    if (type === chunkType.offsetData && buffer !== undefined) {
      const offset = Number((await this.#server.receive(8)).readBigUInt64BE());
      if (pending.hasData || offset !== pending.offsetBytes || length - 8 !== buffer.length) {
        throw broken('other data than were asked for');
      }
      await this.#server.fill(buffer);
      pending.hasData = true;
      return;
    }
    if (length > mostBytes) throw broken('a reply that is too long');
    const content = length === 0 ? Buffer.alloc(0) : await this.#server.receive(length);
    if (type === chunkType.blockStatus && buffer === undefined && length >= 12) {
      pending.extents = content;
    } else if ((type & chunkType.error) !== 0 && length >= 6) {
      pending.failed = errorOf(content, pending.offsetBytes);
    } else if (type !== chunkType.none) {
      throw broken(`a reply of kind ${type}`);
    }
  }

  #failAll(error: unknown): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

function settle(pending: Pending): void {
  if (pending.failed !== undefined) pending.reject(pending.failed);
  else if (pending.hasData || pending.extents !== undefined) pending.resolve(pending);
  else pending.reject(broken('a reply without data'));
}

function errorOf(content: Buffer, offsetBytes: number): Fault {
  const number = content.readUInt32BE(0);
  return new Fault('IO_ERROR', `cannot read what lies at byte ${offsetBytes} (errno ${number})`);
}
