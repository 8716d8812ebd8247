/**
 * Every command at its edges, with simple and with structured replies: what is in the disk, what is
 * one byte past its end, what a read-only export refuses. A connection must outlast every refusal.
 */
import t from 'tap';
import { MIB, pattern, readAt } from '../support/layers.js';
import { chunk, command, errors, RawClient, serveDisk, type Request } from '../support/nbd.js';

const sizeBytes = 8 * MIB;
const fua = 1;
const noHole = 2;
const dontFragment = 4;
const requestOne = 8;

/** The error of a reply of either kind. */
async function errorOf(client: RawClient, structured: boolean): Promise<number> {
  const header = await client.receive(4);
  if (header.readUInt32BE(0) === 0x67446698) {
    return (await client.receive(12)).readUInt32BE(0);
  }
  const rest = await client.receive(16);
  const data = await client.receive(rest.readUInt32BE(12));
  return structured && rest.readUInt16BE(2) === chunk.error ? data.readUInt32BE(0) : 0;
}

const data = pattern(4096, 1);
const outside: readonly [string, Request, number][] = [
  [
    'a read past the end',
    { command: command.read, offset: sizeBytes - 1, length: 2 },
    errors.inval,
  ],
  ['a read far away', { command: command.read, offset: 2 ** 52, length: 1 }, errors.inval],
  ['a read of nothing', { command: command.read, length: 0 }, errors.inval],
  ['a read of 32 MiB and a byte', { command: command.read, length: 33554433 }, errors.inval],
  [
    'a write past the end',
    { command: command.write, offset: sizeBytes - 4095, data },
    errors.nospc,
  ],
  ['a write of nothing', { command: command.write }, errors.inval],
  ['a trim past the end', { command: command.trim, offset: 1, length: sizeBytes }, errors.nospc],
  [
    'zeroes past the end',
    { command: command.writeZeroes, offset: sizeBytes, length: 1 },
    errors.nospc,
  ],
  ['caching past the end', { command: command.cache, offset: sizeBytes, length: 1 }, errors.inval],
  [
    'the status of what is past the end',
    { command: command.blockStatus, offset: sizeBytes, length: 1 },
    errors.inval,
  ],
  ['a command nobody knows', { command: 99, length: 1 }, errors.inval],
];
for (const structured of [false, true]) {
  for (const [what, request, error] of outside) {
    t.test(`${what} is refused; structured: ${String(structured)}`, async (t) => {
      const { server } = await serveDisk(t, sizeBytes);
      const client = await RawClient.ready(t, server, { structured });
      client.request(request);
      t.equal(await errorOf(client, structured), error);
      client.request({ command: command.flush });
      t.equal((await client.simple()).error, errors.ok);
    });
  }
}

for (const request of [
  { command: command.write, data },
  { command: command.write, data: pattern(3 * MIB, 3) },
  { command: command.trim, length: 4096 },
  { command: command.writeZeroes, length: 4096 },
]) {
  t.test(`command ${String(request.command)} on a read-only export is EPERM`, async (t) => {
    const { server } = await serveDisk(t, sizeBytes, true);
    const client = await RawClient.ready(t, server);
    client.request(request);
    t.equal((await client.simple()).error, errors.perm);
    client.request({ command: command.read, length: 4096 });
    t.same((await client.simple(4096)).data, Buffer.alloc(4096));
  });
}

for (const lengthBytes of [1, 511, 4096, 4097, 262143, 262144, 262145, 3 * MIB + 1]) {
  t.test(`${String(lengthBytes)} bytes at an odd offset come back as they went`, async (t) => {
    const { server } = await serveDisk(t, sizeBytes);
    const written = pattern(lengthBytes, lengthBytes);
    const plain = await RawClient.ready(t, server);
    plain.request({ command: command.write, offset: 4093, data: written, cookie: 99n });
    t.match(await plain.simple(), { error: errors.ok, cookie: 99n });
    plain.request({ command: command.read, offset: 4093, length: lengthBytes });
    t.ok((await plain.simple(lengthBytes)).data.equals(written), 'in a simple reply');

    const client = await RawClient.ready(t, server, { structured: true });
    client.request({ command: command.read, offset: 4093, length: lengthBytes, cookie: 5n });
    const chunks = await client.chunks();
    let next = 4093;
    for (const { type, cookie, data } of chunks) {
      t.match({ type, cookie }, { type: chunk.data, cookie: 5n });
      t.equal(data.readBigUInt64BE(0), BigInt(next));
      next += data.length - 8;
    }
    const read = Buffer.concat(chunks.map(({ data }) => data.subarray(8)));
    t.ok(read.equals(written), 'in chunks');
  });
}

t.test('a read that must not be cut is one chunk, or EOVERFLOW when it is long', async (t) => {
  const { server } = await serveDisk(t, sizeBytes);
  const client = await RawClient.ready(t, server, { structured: true });
  client.request({ command: command.read, length: 262144, flags: dontFragment });
  t.match(await client.chunks(), [{ type: chunk.data, flags: 1 }]);
  client.request({ command: command.read, length: 262145, flags: dontFragment });
  const [refusal] = await client.chunks();
  t.equal(refusal?.data.readUInt32BE(0), errors.overflow);
});

for (const [what, request] of [
  ['trim', { command: command.trim }],
  ['zeroes', { command: command.writeZeroes }],
  ['zeroes without holes', { command: command.writeZeroes, flags: noHole }],
  ['zeroes, durable', { command: command.writeZeroes, flags: fua }],
] as const) {
  t.test(`after ${what} there are zeros, and nothing else is`, async (t) => {
    const { server, device } = await serveDisk(t, sizeBytes);
    const client = await RawClient.ready(t, server, { structured: true });
    const before = pattern(MIB, 8);
    client.request({ command: command.write, data: before, flags: fua });
    t.equal((await client.simple()).error, errors.ok);
    client.request({ ...request, offset: 4097, length: 600_000 });
    t.equal((await client.simple()).error, errors.ok);
    const after = Buffer.from(before).fill(0, 4097, 604_097);
    t.ok((await readAt(device, 0, MIB)).equals(after));
    client.request({ command: command.blockStatus, length: MIB });
    const [status] = await client.chunks();
    const isHole = (status?.data.length ?? 0) > 12;
    t.equal(isHole, what !== 'zeroes without holes', 'a hole where one may be');
  });
}

t.test('the block status tells data from holes, whole or one extent of it', async (t) => {
  const { server, device } = await serveDisk(t, sizeBytes);
  await device.write(pattern(8192, 1), MIB);
  await device.write(pattern(4096, 2), 3 * MIB);
  const client = await RawClient.ready(t, server, { structured: true });
  const statusOf = async (request: Partial<Request>): Promise<number[]> => {
    client.request({ command: command.blockStatus, length: sizeBytes, ...request });
    const [status] = await client.chunks();
    const fields = status?.data ?? Buffer.alloc(0);
    return Array.from({ length: fields.length / 4 }, (_, i) => fields.readUInt32BE(4 * i));
  };
  const id = 1;
  const hole = 3;
  const between = 2 * MIB - 8192;
  const rest = 5 * MIB - 4096;
  t.same(await statusOf({}), [id, MIB, hole, 8192, 0, between, hole, 4096, 0, rest, hole]);
  t.same(await statusOf({ flags: requestOne }), [id, MIB, hole]);
  t.same(await statusOf({ flags: requestOne, offset: MIB + 1, length: 9000 }), [id, 8191, 0]);
  t.same(await statusOf({ offset: sizeBytes - 1, length: 1 }), [id, 1, hole]);
});

t.test('what was read for the cache is not sent', async (t) => {
  const { server } = await serveDisk(t, sizeBytes);
  const client = await RawClient.ready(t, server);
  client.request({ command: command.cache, length: sizeBytes, cookie: 3n });
  t.match(await client.simple(), { error: errors.ok, cookie: 3n });
});

t.test('what was asked before the disconnect is answered', async (t) => {
  const { server } = await serveDisk(t, sizeBytes);
  const client = await RawClient.ready(t, server);
  for (let i = 0; i < 40; i += 1) {
    client.request({ command: command.read, length: 65536, cookie: BigInt(i) });
  }
  client.request({ command: command.disconnect });
  t.equal((await client.end()).length, 40 * (16 + 65536));
});

t.test('a request that is none ends the connection, and no other', async (t) => {
  const { server } = await serveDisk(t, sizeBytes);
  const other = await RawClient.ready(t, server);
  const client = await RawClient.ready(t, server);
  client.send(Buffer.alloc(28, 0xff));
  t.equal((await client.end()).length, 0);
  other.request({ command: command.flush });
  t.equal((await other.simple()).error, errors.ok);
});
