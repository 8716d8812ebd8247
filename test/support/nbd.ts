/** An NBD server in this process with one disk, and a client that can say anything. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { addon, type Device, type DeviceLayer, type NbdServer } from '../../dist/device/index.js';
import { MIB, newLayer, openStack } from './layers.js';
import { tempDirectory, type Teardown } from './temp.js';

export interface Served {
  readonly layer: DeviceLayer;
  readonly server: NbdServer;
  readonly device: Device;
  readonly directory: string;
  /** Of the export "disk". */
  readonly uri: string;
}

/** An export "disk" of `sizeBytes` on a fresh layer; its id is its name. */
export async function serveDisk(
  t: Teardown,
  sizeBytes = 8 * MIB,
  readOnly = false,
): Promise<Served> {
  const directory = tempDirectory(t);
  const layer = newLayer(directory, sizeBytes);
  const device = await openStack(t, [layer]);
  const socketPath = join(directory, 'nbd.sock');
  const server = addon.serveNbd({ socketPath });
  t.teardown(() => server.end());
  server.add({ id: 'disk', name: 'disk', device, readOnly });
  server.serve();
  return { server, device, layer, directory, uri: `nbd+unix:///disk?socket=${socketPath}` };
}

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
};
export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  tooBig: 0x80000009,
};
export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
};
export const errors = { ok: 0, perm: 1, io: 5, inval: 22, nospc: 28, overflow: 75 };
export const chunk = { none: 0, data: 1, blockStatus: 5, error: 0x8001 };

export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

export interface Request {
  readonly command: number;
  readonly offset?: number;
  readonly length?: number;
  readonly flags?: number;
  readonly data?: Buffer;
  readonly cookie?: bigint;
}

export interface Chunk {
  readonly flags: number;
  readonly type: number;
  readonly cookie: bigint;
  readonly data: Buffer;
}

type Listening = Pick<NbdServer, 'socketPath'>;

/** Says byte by byte what the protocol has, and what it has not. */
export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    // "close" follows it.
    socket.on('error', () => undefined);
  }

  /** On a socket that is, or will be, connected. */
  static on(socket: Socket): RawClient {
    return new RawClient(socket);
  }

  /** Connected; nothing is said or read yet. */
  static async connect(t: Teardown, server: Listening): Promise<RawClient> {
    const socket = createConnection(server.socketPath);
    t.teardown(() => socket.destroy());
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** After the greeting and the flags. */
  static async greeted(t: Teardown, server: Listening, flags = 3): Promise<RawClient> {
    const client = await RawClient.connect(t, server);
    await client.receive(18);
    client.send(u32(flags));
    return client;
  }

  /** Ready to ask of the export. */
  static async ready(
    t: Teardown,
    server: Listening,
    { structured = false, name = 'disk' } = {},
  ): Promise<RawClient> {
    const client = await RawClient.greeted(t, server);
    if (structured) {
      await client.ask(option.structuredReply);
      await client.ask(option.setMetaContext, metaContext(name, ['base:allocation']));
    }
    await client.ask(option.go, infoRequest(name));
    return client;
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Exactly so many bytes; throws when the connection ends before. */
  async receive(lengthBytes: number): Promise<Buffer> {
    while (this.#received.length < lengthBytes) {
      if (this.#ended) throw new Error('the server has ended the connection');
      await this.#change();
    }
    const bytes = this.#received.subarray(0, lengthBytes);
    this.#received = this.#received.subarray(lengthBytes);
    return bytes;
  }

  /** All that comes until the server ends the connection. */
  async end(): Promise<Buffer> {
    while (!this.#ended) await this.#change();
    return this.#received;
  }

  sendOption(number: number, data: Buffer = Buffer.alloc(0)): void {
    this.send(Buffer.from('IHAVEOPT'), u32(number), u32(data.length), data);
  }

  /** All replies to an option, up to the acknowledgement or the error. */
  async ask(number: number, data?: Buffer): Promise<OptionReply[]> {
    this.sendOption(number, data);
    const replies: OptionReply[] = [];
    for (;;) {
      const header = await this.receive(20);
      if (header.readBigUInt64BE(0) !== 0x3e889045565a9n) throw new Error('no option reply');
      const reply = {
        option: header.readUInt32BE(8),
        type: header.readUInt32BE(12),
        data: await this.receive(header.readUInt32BE(16)),
      };
      replies.push(reply);
      if (reply.type === optionReply.ack || reply.type >= 0x80000000) return replies;
    }
  }

  request(request: Request): void {
    const { data = Buffer.alloc(0), offset = 0, flags = 0, cookie = 7n } = request;
    const header = Buffer.alloc(28);
    header.writeUInt32BE(0x25609513, 0);
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(request.command, 6);
    header.writeBigUInt64BE(cookie, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(request.length ?? data.length, 24);
    this.send(header, data);
  }

  /** The error of a simple reply, and as much data as is expected after it. */
  async simple(dataBytes = 0): Promise<{ error: number; cookie: bigint; data: Buffer }> {
    const header = await this.receive(16);
    if (header.readUInt32BE(0) !== 0x67446698) throw new Error('no simple reply');
    const error = header.readUInt32BE(4);
    const data = await this.receive(error === 0 ? dataBytes : 0);
    return { error, cookie: header.readBigUInt64BE(8), data };
  }

  /** The chunks of one structured reply, to the one that says it is done. */
  async chunks(): Promise<Chunk[]> {
    const chunks: Chunk[] = [];
    for (;;) {
      const header = await this.receive(20);
      if (header.readUInt32BE(0) !== 0x668e33ef) throw new Error('no structured reply');
      const flags = header.readUInt16BE(4);
      const type = header.readUInt16BE(6);
      const cookie = header.readBigUInt64BE(8);
      chunks.push({ flags, type, cookie, data: await this.receive(header.readUInt32BE(16)) });
      if ((flags & 1) !== 0) return chunks;
    }
  }

  /** One caller at a time. */
  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const text = (value: string): Buffer => Buffer.concat([u32(value.length), Buffer.from(value)]);

/** The data of INFO and GO. */
export function infoRequest(name: string, ...infos: readonly number[]): Buffer {
  return Buffer.concat([text(name), u16(infos.length), ...infos.map(u16)]);
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function metaContext(name: string, queries: readonly string[]): Buffer {
  return Buffer.concat([text(name), u32(queries.length), ...queries.map(text)]);
}
