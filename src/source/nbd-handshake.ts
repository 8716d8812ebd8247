/** How an NBD connection begins: which export, that replies are structured, and where data are. */
import { broken, type Connection } from './nbd-connection.js';

const greeting = Buffer.from('NBDMAGICIHAVEOPT');
const optionMagic = Buffer.from('IHAVEOPT');
const replyMagic = 0x3e889045565a9n;
/** Fixed newstyle, and no padding. */
const ourFlags = 3;
const option = { go: 7, structuredReply: 8, setMetaContext: 10 };
const replyType = { ack: 1, info: 3, metaContext: 4 };
const infoExport = 0;
const maxReplyBytes = 4096;
const allocation = Buffer.from('base:allocation');

interface Reply {
  readonly type: number;
  readonly content: Buffer;
}

/** The size of the only export. Throws IO_ERROR when the server does not answer as it must. */
export async function shakeHands(server: Connection): Promise<number> {
  const hello = await server.receive(18);
  if (!hello.subarray(0, 16).equals(greeting)) throw broken('no greeting');
  await server.send(number(ourFlags));
  await ask(server, option.structuredReply, Buffer.alloc(0));
  const query = [number(0), number(1), number(allocation.length), allocation];
  const contexts = await ask(server, option.setMetaContext, Buffer.concat(query));
  if (!contexts.some(({ type }) => type === replyType.metaContext)) throw broken('no block status');
  // No name, and no further questions.
  const replies = await ask(server, option.go, Buffer.alloc(6));
  for (const { type, content } of replies) {
    if (type !== replyType.info || content.length < 12) continue;
    if (content.readUInt16BE(0) !== infoExport) continue;
    return safeSize(content.readBigUInt64BE(2));
  }
  throw broken('no size');
}

/** Everything that is answered up to the acknowledgement. */
async function ask(server: Connection, what: number, data: Buffer): Promise<Reply[]> {
  await server.send(Buffer.concat([optionMagic, number(what), number(data.length), data]));
  const replies: Reply[] = [];
  while (replies.length < 16) {
    const header = await server.receive(20);
    if (header.readBigUInt64BE(0) !== replyMagic || header.readUInt32BE(8) !== what) {
      throw broken('no reply to an option');
    }
    const [type, length] = [header.readUInt32BE(12), header.readUInt32BE(16)];
    if (length > maxReplyBytes) throw broken('a reply that is too long');
    const content = length === 0 ? Buffer.alloc(0) : await server.receive(length);
    if (type === replyType.ack) return replies;
    if (type !== replyType.info && type !== replyType.metaContext) {
      throw broken(`a refusal of option ${what}`);
    }
    replies.push({ type, content });
  }
  throw broken('too many replies');
}

function safeSize(size: bigint): number {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw broken('an impossible size');
  return Number(size);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
