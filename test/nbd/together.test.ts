/**
 * Small requests that come together are served by one thread and answered together. Each must get
 * its own answer, and none may hold up the others: neither one that is refused nor one that waits.
 */
import t from 'tap';
import { MIB, pattern } from '../support/layers.js';
import { command, errors, RawClient, serveDisk, type Request } from '../support/nbd.js';

const sizeBytes = 8 * MIB;
const lengths = [4096, 1, 512, 4096, 32768, 32769, 4095, 65536, 4096, 4096, 1, 32768];

/** In one packet, numbered by their cookies. */
function requestTogether(client: RawClient, requests: readonly Request[]): void {
  client.socket.cork();
  for (const [index, request] of requests.entries()) {
    client.request({ ...request, cookie: BigInt(index) });
  }
  client.socket.uncork();
}

/** The error of each write, by its cookie. */
async function errorsOfWrites(client: RawClient, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const { error, cookie } = await client.simple();
    found[Number(cookie)] = error;
  }
  return found;
}

t.test('many at once are each answered, the refused as well', async (t) => {
  const { server } = await serveDisk(t, sizeBytes);
  const client = await RawClient.ready(t, server);
  const writes: Request[] = lengths.map((length, index) => ({
    ...{ command: command.write, offset: index * 65536, data: pattern(length, index + 1) },
  }));
  const outside = { command: command.write, offset: sizeBytes, data: pattern(4096, 1) };
  requestTogether(client, [...writes.slice(0, 3), outside, ...writes.slice(3)]);
  const expected = [...writes.map(() => errors.ok)];
  expected.splice(3, 0, errors.nospc);
  t.same(await errorsOfWrites(client, writes.length + 1), expected);

  const structured = await RawClient.ready(t, server, { structured: true });
  const reads = lengths.map((length, index) => ({
    ...{ command: command.read, offset: index * 65536, length },
  }));
  requestTogether(structured, reads);
  const seen = new Set<number>();
  for (const _ of reads) {
    const [reply] = await structured.chunks();
    const index = Number(reply?.cookie);
    seen.add(index);
    const at = Buffer.alloc(8);
    at.writeBigUInt64BE(BigInt(index * 65536));
    const data = Buffer.concat([at, pattern(lengths[index] ?? 0, index + 1)]);
    t.ok(reply?.data.equals(data), `the data of read ${String(index)}, and where it lies`);
  }
  t.equal(seen.size, reads.length);
});

t.test('what waits for its key holds up nothing that came with it', async (t) => {
  const { server, device, layer } = await serveDisk(t, sizeBytes);
  const client = await RawClient.ready(t, server);
  await device.cutOff(100, 'hold-writes');
  const read = { command: command.read, length: 4096 };
  requestTogether(client, [
    { command: command.write, offset: 4096, data: pattern(4096, 3) },
    read,
    read,
    read,
  ]);
  const refused = await errorsOfWrites(client, 3);
  t.same(refused.slice(1), [errors.io, errors.io, errors.io]);
  await device.restore([layer.dataKey]);
  t.same(await client.simple(), { error: errors.ok, cookie: 0n, data: Buffer.alloc(0) });
  client.request({ ...read, offset: 4096 });
  t.ok((await client.simple(4096)).data.equals(pattern(4096, 3)));
});
