// Without a daemon every command must say so, name the socket and the cure, and not hang.
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { createClient } from '../../dist/api/client.js';
import { tempDirectory, type Teardown } from '../support/temp.js';

const hint = 'keyvol daemon start';

function listen(t: Teardown, path: string, server: Server): Promise<void> {
  t.teardown(() => server.close());
  return new Promise((resolve) => server.listen(path, resolve));
}

t.test('no socket', async (t) => {
  const path = join(tempDirectory(t), 'api.sock');
  await t.rejects(createClient(path).status(), {
    code: 'DAEMON_UNREACHABLE',
    message: `no daemon listens on ${path}`,
    hint,
  });
});

t.test('a socket that a dead daemon left', async (t) => {
  // A regular file refuses connections exactly as a socket without a listener does.
  const path = join(tempDirectory(t), 'api.sock');
  writeFileSync(path, '');
  await t.rejects(createClient(path).status(), { code: 'DAEMON_UNREACHABLE', hint });
});

t.test('a daemon that ends during the call', async (t) => {
  const path = join(tempDirectory(t), 'api.sock');
  await listen(
    t,
    path,
    createServer((socket) => socket.once('data', () => socket.destroy())),
  );
  await t.rejects(createClient(path).status(), {
    code: 'DAEMON_UNREACHABLE',
    message: `the daemon ended during the call on ${path}`,
  });
});

t.test('a daemon that ends between progress and result', async (t) => {
  const path = join(tempDirectory(t), 'api.sock');
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n';
  const server = createServer((socket) =>
    socket.once('data', () => socket.end(`${head}{"progress":{"done":1,"total":2}}\n`)),
  );
  await listen(t, path, server);
  const seen: unknown[] = [];
  await t.rejects(
    createClient(path).createVolume({ name: 'db' }, (progress) => seen.push(progress)),
    { code: 'DAEMON_UNREACHABLE', message: 'the daemon ended before it answered' },
  );
  t.same(seen, [{ done: 1, total: 2 }]);
});

t.test('somebody who speaks another language', async (t) => {
  const path = join(tempDirectory(t), 'api.sock');
  const body = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
  await listen(
    t,
    path,
    createServer((socket) => socket.once('data', () => socket.end(body))),
  );
  await t.rejects(createClient(path).status(), {
    code: 'INTERNAL',
    message: 'the answer of the daemon is not JSON',
  });
});
