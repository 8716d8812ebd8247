/**
 * Clients come, go, hang and talk nonsense: the server must not keep what belonged to them, must not
 * let one hold up the others, and must end when it is told to.
 */
import { readdirSync, existsSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { modelRandom } from '../support/model-random.js';
import { command, errors, infoRequest, option, RawClient, serveDisk } from '../support/nbd.js';
import { tempDirectory } from '../support/temp.js';
import { eventually } from '../support/wait.js';

const openFds = (): number => readdirSync('/proc/self/fd').length;
const threads = (): number => readdirSync('/proc/self/task').length;

t.test('a client counts from its handshake on until it has gone', async (t) => {
  const { server } = await serveDisk(t);
  const first = await RawClient.ready(t, server);
  const second = await RawClient.greeted(t, server);
  t.equal(server.connections('disk'), 1);
  await second.ask(option.go, infoRequest('disk'));
  await eventually(() => server.connections('disk') === 2);
  first.socket.destroy();
  second.request({ command: command.disconnect });
  await eventually(() => server.connections('disk') === 0);
  t.equal(server.connections('other'), 0);
});

t.test('nothing is left of clients that have gone', async (t) => {
  const { server } = await serveDisk(t);
  const before = { fds: openFds(), threads: threads() };
  for (let i = 0; i < 50; i += 1) {
    const client = await RawClient.ready(t, server);
    client.request({ command: command.read, length: 8 * MIB });
    client.socket.destroy();
  }
  await eventually(() => server.connections('disk') === 0);
  await eventually(() => openFds() <= before.fds && threads() <= before.threads);
  t.equal(server.connections('disk'), 0);
});

t.test('a client that does not read holds up nobody else', async (t) => {
  const { server } = await serveDisk(t);
  const lazy = await RawClient.ready(t, server);
  lazy.socket.pause();
  for (let i = 0; i < 64; i += 1) lazy.request({ command: command.read, length: 4 * MIB });
  const other = await RawClient.ready(t, server);
  other.request({ command: command.read, length: 4096 });
  t.equal((await other.simple(4096)).error, errors.ok);
});

t.test('who is disconnected may come again, who is removed may not', async (t) => {
  const { server } = await serveDisk(t);
  const client = await RawClient.ready(t, server);
  server.disconnect('disk');
  await client.end();
  const again = await RawClient.ready(t, server);
  server.remove('disk');
  await again.end();
  const last = await RawClient.greeted(t, server);
  t.match((await last.ask(option.go, infoRequest('disk'))).at(-1), { type: 0x80000006 });
});

t.test('who connects before it serves waits, and meets what is there by then', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)]);
  const server = addon.serveNbd({ socketPath: join(directory, 'nbd.sock') });
  t.teardown(() => server.end());
  const early = RawClient.ready(t, server);
  const first = await Promise.race([early, new Promise((r) => setTimeout(r, 200, 'waits'))]);
  t.equal(first, 'waits');
  server.add({ id: 'disk', name: 'disk', device, readOnly: false });
  server.serve();
  t.ok(await early);
});

t.test('a renamed export goes on for those who have it', async (t) => {
  const { server, device } = await serveDisk(t);
  const client = await RawClient.ready(t, server);
  server.rename('disk', 'new');
  client.request({ command: command.flush });
  t.equal((await client.simple()).error, errors.ok);
  await RawClient.ready(t, server, { name: 'new' });
  server.add({ id: 'other', name: 'other', device, readOnly: false });
  t.throws(() => server.rename('other', 'new'), { code: 'FILE_EXISTS' });
  t.throws(() => server.rename('nobody', 'x'), { code: 'FILE_NOT_FOUND' });
  t.throws(() => server.add({ id: 'x', name: 'new', device, readOnly: false }), {
    code: 'FILE_EXISTS',
  });
});

t.test('a disk whose gate is closed answers EIO, and goes on when it is open again', async (t) => {
  const { server, device } = await serveDisk(t);
  const client = await RawClient.ready(t, server, { structured: true });
  await device.cutOff(500);
  client.request({ command: command.read, length: 4096 });
  const [refusal] = await client.chunks();
  t.equal(refusal?.data.readUInt32BE(0), errors.io);
  t.match(refusal?.data.subarray(6).toString(), /key/);
});

t.test('who waits for a key ends when its client goes', async (t) => {
  const { server, device } = await serveDisk(t);
  await device.cutOff(500, 'suspend');
  const client = await RawClient.ready(t, server);
  // More than there are threads for one connection.
  for (let i = 0; i < 20; i += 1) {
    client.request({ command: command.write, data: pattern(4096, 1) });
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(server.connections('disk'), 1);
  client.socket.destroy();
  await eventually(() => server.connections('disk') === 0);
});

t.test('a write that its client has given up never lands on a later one', async (t) => {
  const { server, device } = await serveDisk(t);
  const gone = await RawClient.ready(t, server);
  addon.injectBlockFault('write', { delayMs: 1500 });
  t.teardown(() => addon.clearBlockFaults());
  // As many as there are threads at most, and one that waits behind them.
  for (const sector of [8, 7, 6, 5, 4, 3, 2, 1, 0]) {
    gone.request({ command: command.write, offset: sector * 4096, data: pattern(4096, 1) });
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  addon.clearBlockFaults();
  gone.socket.destroy();
  const again = await RawClient.ready(t, server);
  const later = pattern(4096, 2);
  again.request({ command: command.write, data: later });
  t.equal((await again.simple()).error, errors.ok);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  t.ok((await readAt(device, 0, 4096)).equals(later));
});

t.test('the server ends while clients wait, and takes its socket away', async (t) => {
  const { server, device } = await serveDisk(t);
  await device.cutOff(500, 'suspend');
  const client = await RawClient.ready(t, server);
  client.request({ command: command.read, length: 4096 });
  await server.end();
  await client.end();
  t.notOk(existsSync(server.socketPath));
  await server.end();
});

t.test('256 clients are served, and those beyond are turned away', async (t) => {
  const { server } = await serveDisk(t);
  const greeted: string[] = [];
  for (let i = 0; i < 257; i += 1) {
    const socket = connect(server.socketPath);
    t.teardown(() => socket.destroy());
    const event = await Promise.race([
      once(socket, 'data').then(() => 'greeted'),
      once(socket, 'close').then(() => 'closed'),
    ]);
    greeted.push(event);
  }
  t.equal(greeted.filter((event) => event === 'greeted').length, 256);
  t.equal(greeted.at(-1), 'closed');
});

t.test('nonsense in place of every part of the conversation ends it, or is refused', async (t) => {
  const { server } = await serveDisk(t);
  const random = modelRandom(20_261_130);
  for (let round = 0; round < 300; round += 1) {
    const client = await RawClient.greeted(t, server);
    const noise = random.data(random.below(200));
    if (random.below(2) === 0) {
      await client.ask(option.structuredReply);
      client.sendOption(random.below(12), noise);
    } else {
      await client.ask(option.go, infoRequest('disk'));
      const request = { command: random.below(9), offset: random.below(16 * MIB) };
      client.request({ ...request, length: random.below(4096), flags: random.below(32) });
      client.send(noise);
    }
    client.socket.destroy();
  }
  const other = await RawClient.ready(t, server);
  other.request({ command: command.flush });
  t.equal((await other.simple()).error, errors.ok);
});
