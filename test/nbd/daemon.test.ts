/**
 * Disks over NBD as an operator meets them: the URI that `attach --nbd` prints, what excludes what,
 * what a lost key does to a client within a second, and what a restart brings back.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DiskView } from '../../dist/api/types.js';
import { run, runOk } from '../support/fuse.js';
import { pattern } from '../support/layers.js';
import { command, errors, RawClient } from '../support/nbd.js';
import { sleep, startWorld, type World } from '../support/world.js';

const uriOf = async (world: World, volume: string): Promise<string> => {
  const { attachment } = await world.json<DiskView>('volume', 'show', volume);
  return attachment?.uri ?? '';
};

const io = (uri: string, ...steps: string[]) =>
  run('qemu-io', '-f', 'raw', ...steps.flatMap((step) => ['-c', step]), uri);

async function attached(t: Test, ...args: string[]): Promise<World> {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'db', '--size', '16M', '--key', 'app', ...args);
  await world.keyvol('volume', 'attach', 'db', '--nbd');
  return world;
}

t.test('attach --nbd prints a URI that clients take, and shows it', async (t) => {
  const world = await attached(t);
  await world.keyvol('volume', 'detach', 'db');
  const said = await world.keyvol('volume', 'attach', 'db', '--nbd');
  const uri = await uriOf(world, 'db');
  t.match(said, `attached volume db at ${uri}`);
  t.match(await world.keyvol('volume', 'list'), uri);
  t.match(await runOk('nbdinfo', uri), 'export="volumes/db"');
  t.match(await io(uri, 'write -P 9 0 1M'), { code: 0 });
  await world.keyvol('image', 'create', 'gold', '--volume', 'db');
  const image = await world.json<DiskView>('image', 'attach', 'gold', '--nbd');
  t.match(await runOk('nbdinfo', image.attachment?.uri ?? ''), 'is_read_only: true');
  t.match(await io(image.attachment?.uri ?? '', 'read -P 9 0 1M'), { code: 1 }, 'asked to write');
  const list = `nbd+unix:///?socket=${join(world.runtimeDir, 'nbd.sock')}`;
  t.match(
    await runOk('nbdinfo', '--list', list),
    /volumes\/db[^]*images\/gold|images\/gold[^]*volumes\/db/,
  );
});

t.test('an export, a mount and a file exclude each other', async (t) => {
  const world = await attached(t);
  const attach = await world.try('volume', 'attach', 'db');
  t.match(attach, { status: 6, stderr: /volume db is attached over NBD/ });
  const mount = await world.try('volume', 'mount', 'db', world.directory);
  t.match(mount, { status: 6, stderr: /volume db is attached over NBD; cannot mount it/ });
  await world.keyvol('volume', 'detach', 'db');
  const cached = await world.try('volume', 'attach', 'db', '--nbd', '--cache', 'kernel');
  t.match(cached, { status: 2, stderr: /an NBD export is not/ });
});

t.test('a client keeps a volume attached, but by force', async (t) => {
  const world = await attached(t);
  const uri = await uriOf(world, 'db');
  const socketPath = join(world.runtimeDir, 'nbd.sock');
  const client = await RawClient.ready(t, { socketPath }, { name: 'volumes/db' });
  const detach = await world.try('volume', 'detach', 'db');
  t.match(detach, { status: 6, stderr: /still in use\nhint: disconnect its NBD clients/ });
  await world.keyvol('volume', 'detach', 'db', '--force');
  await client.end();
  t.match(await run('nbdinfo', uri), { code: 1 });
});

t.test('a lost key is EIO for a client within a second, and nothing is lost', async (t) => {
  const world = await attached(t);
  const socketPath = join(world.runtimeDir, 'nbd.sock');
  const client = await RawClient.ready(t, { socketPath }, { name: 'volumes/db' });
  const data = pattern(65536, 4);
  client.request({ command: command.write, data });
  t.equal((await client.simple()).error, errors.ok);
  const started = performance.now();
  const disable = world.keyvol('key', 'disable', 'app');
  for (let error = errors.ok; error === errors.ok;) {
    client.request({ command: command.read, length: 4096 });
    ({ error } = await client.simple(4096));
    if (performance.now() - started > 5000) break;
  }
  // Most of it is the start of the command.
  t.ok(performance.now() - started < 3000, 'it is cut off');
  t.match(await disable, /volume db: closed after/);
  client.request({ command: command.write, data });
  t.equal((await client.simple()).error, errors.io);
  await world.keyvol('key', 'enable', 'app');
  client.request({ command: command.read, length: data.length });
  t.ok((await client.simple(data.length)).data.equals(data), 'the same connection goes on');
});

t.test('with --on-key-loss suspend a client waits and goes on', async (t) => {
  const world = await attached(t, '--on-key-loss', 'suspend');
  const socketPath = join(world.runtimeDir, 'nbd.sock');
  const client = await RawClient.ready(t, { socketPath }, { name: 'volumes/db' });
  await world.keyvol('key', 'disable', 'app');
  const data = pattern(4096, 4);
  client.request({ command: command.write, data });
  const answered = client.simple();
  const first = await Promise.race([answered, sleep(500).then(() => 'waits')]);
  t.equal(first, 'waits');
  await world.keyvol('key', 'enable', 'app');
  t.equal((await answered).error, errors.ok);
  client.request({ command: command.read, length: 4096 });
  t.ok((await client.simple(4096)).data.equals(data));
});

for (const ending of ['restart', 'kill'] as const) {
  t.test(`a daemon that is started after a ${ending} exports what it did`, async (t) => {
    const world = await attached(t);
    const uri = await uriOf(world, 'db');
    t.match(await io(uri, 'write -f -P 7 4096 8192'), { code: 0 });
    if (ending === 'kill') {
      await world.kill(await world.pid());
      await world.start();
    } else {
      await world.keyvol('daemon', 'restart');
    }
    t.match(await io(uri, 'read -P 7 4096 8192'), { code: 0 });
    t.equal(await uriOf(world, 'db'), uri);
  });
}

t.test('a renamed volume has a new URI', async (t) => {
  const world = await attached(t);
  await world.keyvol('volume', 'rename', 'db', 'db2');
  const uri = await uriOf(world, 'db2');
  t.match(uri, 'volumes/db2');
  t.match(await io(uri, 'read -P 0 0 4k'), { code: 0 });
});

t.test('a client that connects again sees the size that a volume has grown to', async (t) => {
  const world = await attached(t);
  const uri = await uriOf(world, 'db');
  const client = await RawClient.ready(
    t,
    { socketPath: join(world.runtimeDir, 'nbd.sock') },
    { name: 'volumes/db' },
  );
  await world.keyvol('volume', 'resize', 'db', '--size', '32M');
  t.match(await runOk('nbdinfo', '--size', uri), '33554432');
  client.request({ command: command.write, offset: (32 << 20) - 4096, data: pattern(4096, 1) });
  t.equal((await client.simple()).error, errors.ok, 'and so can one that stays');
});
