// A secret that another process gives is taken whole, or not at all, and nobody is waited for long.
import { createServer, type Socket } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { giving } from '../support/export-targets.js';
import { tempDirectory, type Teardown } from '../support/temp.js';

async function socketThat(t: Teardown, does: (socket: Socket) => void): Promise<string> {
  const path = join(tempDirectory(t), 'socket');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    does(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return path;
}

t.test('1 to 255 bytes are taken as they are', async (t) => {
  for (const lengthBytes of [1, 254, 255]) {
    const bytes = Buffer.alloc(lengthBytes, lengthBytes);
    const secret = await addon.receiveSecret(await giving(t, bytes));
    t.equal(secret.lengthBytes, lengthBytes);
    const path = join(tempDirectory(t), 'bytes');
    addon.exportKeyFile(secret, path);
    t.ok(readFileSync(path).equals(bytes));
    secret.release();
  }
  for (const lengthBytes of [0, 256, 100_000]) {
    const given = addon.receiveSecret(await giving(t, Buffer.alloc(lengthBytes)));
    await t.rejects(given, { code: 'INVALID_ARGUMENT' }, `${String(lengthBytes)} bytes`);
  }
});

t.test('it may come in pieces', async (t) => {
  const path = await socketThat(t, (socket) => {
    socket.write('corr');
    setTimeout(() => socket.end('ect'), 50);
  });
  const secret = await addon.receiveSecret(path);
  t.equal(secret.lengthBytes, 7);
  secret.release();
});

t.test('who gives nothing, or no end, is waited for 5 seconds', async (t) => {
  const path = await socketThat(t, (socket) => socket.write('corr'));
  const started = performance.now();
  const message = `no secret came in time from ${path}`;
  await t.rejects(addon.receiveSecret(path), { code: 'INVALID_ARGUMENT', message });
  t.ok(performance.now() - started > 4900);
});

t.test('what is no socket is refused', async (t) => {
  const file = join(tempDirectory(t), 'file');
  await t.rejects(addon.receiveSecret(file), { code: 'FILE_NOT_FOUND' });
  writeFileSync(file, 'secret');
  await t.rejects(addon.receiveSecret(file), { code: 'INVALID_ARGUMENT' });
  await t.rejects(addon.receiveSecret(`${file}/below`), { code: 'INVALID_ARGUMENT' });
  await t.rejects(addon.receiveSecret(`/${'x'.repeat(200)}`), { code: 'INVALID_ARGUMENT' });
});
