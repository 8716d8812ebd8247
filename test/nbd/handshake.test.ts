/**
 * What a client and the server say before the first request, byte by byte: every option with what
 * belongs to it, with too little, and with too much. A client that errs must get the error that the
 * protocol has for it and be able to go on, for that is how old and new ones agree.
 */
import t from 'tap';
import { MIB } from '../support/layers.js';
import {
  infoRequest,
  metaContext,
  option,
  optionReply,
  RawClient,
  serveDisk,
  u32,
} from '../support/nbd.js';

const types = (replies: readonly { readonly type: number }[]): number[] =>
  replies.map(({ type }) => type);

t.test('the greeting is that of the fixed newstyle', async (t) => {
  const { server } = await serveDisk(t);
  const client = await RawClient.connect(t, server);
  t.equal((await client.receive(18)).toString('latin1'), 'NBDMAGICIHAVEOPT\0\x03');
});

for (const flags of [4, 0x80000000, 0x103]) {
  t.test(`client flags ${String(flags)} that nobody knows end the connection`, async (t) => {
    const { server } = await serveDisk(t);
    const client = await RawClient.greeted(t, server, flags);
    t.equal((await client.end()).length, 0);
  });
}

t.test('the exports are listed by name', async (t) => {
  const { server, device } = await serveDisk(t);
  server.add({ id: 'other', name: 'images/other', device, readOnly: true });
  const client = await RawClient.greeted(t, server);
  const replies = await client.ask(option.list);
  t.same(types(replies), [optionReply.server, optionReply.server, optionReply.ack]);
  t.same(
    replies.slice(0, 2).map(({ data }) => data.subarray(4).toString()),
    ['disk', 'images/other'],
  );
});

const sizeBytes = 8 * MIB;
for (const { what, readOnly, structured, flags } of [
  { what: 'a writable export', readOnly: false, structured: false, flags: 0x56d },
  { what: 'one with structured replies', readOnly: false, structured: true, flags: 0x5ed },
  { what: 'a read-only export', readOnly: true, structured: true, flags: 0x587 },
]) {
  t.test(`${what} is described by GO: size, flags, block sizes`, async (t) => {
    const { server } = await serveDisk(t, sizeBytes, readOnly);
    const client = await RawClient.greeted(t, server);
    if (structured) t.same(types(await client.ask(option.structuredReply)), [optionReply.ack]);
    const [exported, sizes, ack] = await client.ask(option.go, infoRequest('disk', 3));
    t.equal(exported?.data.readUInt16BE(0), 0);
    t.equal(exported?.data.readBigUInt64BE(2), BigInt(sizeBytes));
    t.equal(exported?.data.readUInt16BE(10), flags);
    t.equal(sizes?.data.toString('hex'), '0003' + '00000001' + '00001000' + '02000000');
    t.equal(ack?.type, optionReply.ack);
  });
}

t.test('INFO describes the export and leaves the client where it was', async (t) => {
  const { server } = await serveDisk(t);
  const client = await RawClient.greeted(t, server);
  const described = [optionReply.info, optionReply.info, optionReply.ack];
  t.same(types(await client.ask(option.info, infoRequest('disk'))), described);
  t.equal(server.connections('disk'), 0);
  t.same(types(await client.ask(option.go, infoRequest('disk'))), described);
});

for (const zeroes of [true, false]) {
  t.test(`EXPORT_NAME of old clients, zeroes ${String(zeroes)}`, async (t) => {
    const { server } = await serveDisk(t, sizeBytes);
    const client = await RawClient.greeted(t, server, zeroes ? 1 : 3);
    client.sendOption(option.exportName, Buffer.from('disk'));
    const reply = await client.receive(zeroes ? 134 : 10);
    t.equal(reply.readBigUInt64BE(0), BigInt(sizeBytes));
    t.equal(reply.readUInt16BE(8), 0x56d);
    client.request({ command: 3 });
    t.equal((await client.simple()).error, 0);
  });
}

t.test('EXPORT_NAME of what there is not ends the connection', async (t) => {
  const { server } = await serveDisk(t);
  const client = await RawClient.greeted(t, server);
  client.sendOption(option.exportName, Buffer.from('nothing'));
  t.equal((await client.end()).length, 0);
});

t.test('ABORT is acknowledged, and ends the connection', async (t) => {
  const { server } = await serveDisk(t);
  const client = await RawClient.greeted(t, server);
  t.same(types(await client.ask(option.abort)), [optionReply.ack]);
  t.equal((await client.end()).length, 0);
});

const broken = Buffer.from('0000');
const wrong: readonly [string, number, Buffer, number][] = [
  ['an option nobody knows', 77, Buffer.alloc(0), optionReply.unsupported],
  ['TLS', option.startTls, Buffer.alloc(0), optionReply.unsupported],
  ['a list with data', option.list, broken, optionReply.invalid],
  ['structured replies with data', option.structuredReply, broken, optionReply.invalid],
  ['INFO of what there is not', option.info, infoRequest('nothing'), optionReply.unknown],
  ['GO to what there is not', option.go, infoRequest(''), optionReply.unknown],
  ['GO without data', option.go, Buffer.alloc(0), optionReply.invalid],
  ['GO with a name longer than the option', option.go, u32(99), optionReply.invalid],
  ['GO with a name of 4 GiB', option.go, u32(0xffffffff), optionReply.invalid],
  ['GO cut short', option.go, infoRequest('disk', 1, 3).subarray(0, -1), optionReply.invalid],
  [
    'GO with more behind it',
    option.go,
    Buffer.concat([infoRequest('disk'), broken]),
    optionReply.invalid,
  ],
  [
    'a context without structured replies',
    option.setMetaContext,
    metaContext('disk', ['base:allocation']),
    optionReply.invalid,
  ],
  ['contexts of nothing', option.listMetaContext, metaContext('no', []), optionReply.unknown],
  [
    'contexts cut short',
    option.listMetaContext,
    metaContext('disk', ['base:allocation']).subarray(0, -1),
    optionReply.invalid,
  ],
  ['contexts without data', option.listMetaContext, Buffer.alloc(0), optionReply.invalid],
  ['an option of 64 KiB and one byte', 77, Buffer.alloc(65537), optionReply.tooBig],
];
for (const [what, number, data, error] of wrong) {
  t.test(`${what} is refused, and the client goes on`, async (t) => {
    const { server } = await serveDisk(t);
    const client = await RawClient.greeted(t, server);
    const replies = await client.ask(number, data);
    t.match(replies, [{ option: number, type: error }]);
    t.equal((await client.ask(option.go, infoRequest('disk'))).at(-1)?.type, optionReply.ack);
  });
}

for (const [what, bytes] of [
  ['another magic', Buffer.from('IHAVENOT' + '\0'.repeat(8))],
  ['a length beyond all options', Buffer.concat([Buffer.from('IHAVEOPT'), u32(3), u32(1 << 26)])],
] as const) {
  t.test(`${what} ends the connection`, async (t) => {
    const { server } = await serveDisk(t);
    const client = await RawClient.greeted(t, server);
    client.send(bytes);
    t.equal((await client.end()).length, 0);
  });
}

t.test('contexts are listed for a name, a namespace, or all', async (t) => {
  const { server } = await serveDisk(t);
  const client = await RawClient.greeted(t, server);
  for (const queries of [[], ['base:'], ['base:allocation'], ['x:y', 'base:allocation']]) {
    const replies = await client.ask(option.listMetaContext, metaContext('disk', queries));
    t.same(types(replies), [optionReply.metaContext, optionReply.ack]);
    t.equal(replies[0]?.data.subarray(4).toString(), 'base:allocation');
  }
  for (const queries of [['base'], ['x:'], ['base:other']]) {
    const replies = await client.ask(option.listMetaContext, metaContext('disk', queries));
    t.same(types(replies), [optionReply.ack]);
  }
});

t.test('a context holds for the export it was set for, and the last time it was', async (t) => {
  const { server, device } = await serveDisk(t);
  server.add({ id: 'other', name: 'other', device, readOnly: false });
  const status = async (set: readonly [string, string[]][]): Promise<number | undefined> => {
    const client = await RawClient.greeted(t, server);
    await client.ask(option.structuredReply);
    for (const [name, queries] of set) {
      await client.ask(option.setMetaContext, metaContext(name, queries));
    }
    await client.ask(option.go, infoRequest('disk'));
    client.request({ command: 7, length: 4096 });
    return (await client.chunks())[0]?.type;
  };
  const all = ['base:allocation'];
  t.equal(await status([['disk', all]]), 5);
  t.equal(await status([['other', all]]), 0x8001);
  t.equal(
    await status([
      ['disk', all],
      ['disk', ['base:']],
    ]),
    0x8001,
  );
  t.equal(
    await status([
      ['disk', ['base:']],
      ['disk', all],
    ]),
    5,
  );
});
