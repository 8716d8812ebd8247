/** What the two sides of an NBD connection say to each other, byte for byte. */
import { write } from 'node:fs';
import type { Addon } from '../device/index.js';
import { Fault } from '../fault.js';

const patienceMs = 60_000;

export function broken(what: string): Fault {
  return new Fault('IO_ERROR', `the reader of the image answers with ${what}`);
}

export interface Connection {
  send(bytes: Buffer): Promise<void>;
  /** Fills `buffer` with what comes. Throws IO_ERROR at the end, BUSY when nothing comes. */
  fill(buffer: Buffer): Promise<void>;
  receive(lengthBytes: number): Promise<Buffer>;
}

/** Borrows `socket`. */
export function connectionOver(host: Pick<Addon, 'receive'>, socket: number): Connection {
  const fill = (buffer: Buffer): Promise<void> => host.receive(socket, buffer, patienceMs);
  return {
    send: (bytes) => send(socket, bytes),
    fill,
    receive: async (lengthBytes) => {
      const bytes = Buffer.alloc(lengthBytes);
      await fill(bytes);
      return bytes;
    },
  };
}

/** Requests are so few and small that they always fit the socket's buffer. */
function send(socket: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    write(socket, bytes, 0, bytes.length, null, (error, written) => {
      if (error !== null) {
        reject(new Fault('IO_ERROR', 'the reader of the image has ended', { cause: error }));
      } else if (written < bytes.length) reject(broken('a full socket'));
      else resolve();
    });
  });
}
