/**
 * A disk whose policy is `suspend`: without its key programs wait, more of them than there are
 * threads to serve the mount. They can be interrupted, and go on when the key is back.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { KeyChangeView, StatusView } from '../../dist/api/types.js';
import { pattern } from '../support/layers.js';
import { command, sleep, startWorld, type World } from '../support/world.js';

const users = 24;
const chunkBytes = 1 << 16;
/** Programs have started, and wait. */
const settleMs = 500;
const endsWithinMs = 2000;

/** Reads or writes one chunk of it past the page cache. */
function use(path: string, verb: 'read' | 'write', chunk: number): ChildProcess {
  const n = String(chunk);
  const place =
    verb === 'read'
      ? [`if=${path}`, 'of=/dev/null', 'iflag=direct', `skip=${n}`]
      : ['if=/dev/zero', `of=${path}`, 'oflag=direct', 'conv=notrunc', `seek=${n}`];
  return spawn('dd', [...place, `bs=${String(chunkBytes)}`, 'count=1'], { stdio: 'ignore' });
}

const endOf = async (child: ChildProcess): Promise<unknown> =>
  child.exitCode ?? child.signalCode ?? (await once(child, 'exit').then(() => endOf(child)));

async function suspendedVolume(t: Test, world: World): Promise<string> {
  await world.keyvol('key', 'create', 'app');
  const size = String(2 * users * chunkBytes);
  const create = ['volume', 'create', 'v', '--size', size, '--key', 'app'];
  await world.keyvol(...create, '--on-key-loss', 'suspend');
  await world.keyvol('volume', 'attach', 'v');
  const path = world.volumePath('v');
  const file = await open(path, 'r+');
  await file.writeFile(pattern(2 * users * chunkBytes, 1));
  await file.sync();
  await file.close();
  const lost = await world.json<KeyChangeView>('key', 'disable', 'app');
  t.match(lost.disks, [{ disk: 'v', outcome: 'closed' }]);
  return path;
}

t.test('programs wait, end when they are killed, and go on with the key', async (t) => {
  const world = await startWorld(t);
  const path = await suspendedVolume(t, world);
  const children = Array.from({ length: users }, (_, n) =>
    use(path, n % 2 === 0 ? 'read' : 'write', n),
  );
  await sleep(settleMs);
  t.ok(
    children.every((child) => child.exitCode === null),
    'all wait',
  );
  const killedAtMs = Date.now();
  const killed = children.slice(0, users / 2);
  for (const [n, child] of killed.entries()) child.kill(n % 3 === 0 ? 'SIGINT' : 'SIGKILL');
  await Promise.all(killed.map(endOf));
  t.ok(Date.now() - killedAtMs < endsWithinMs, 'those that are killed end at once');

  await world.keyvol('volume', 'create', 'other', '--size', '1M');
  await world.keyvol('volume', 'attach', 'other');
  t.equal((await command('cat', world.volumePath('other'))).status, 0, 'others are served');

  const back = await world.json<KeyChangeView>('key', 'enable', 'app');
  t.match(back.disks, [{ disk: 'v', outcome: 'reopened' }]);
  const ends = await Promise.all(children.slice(users / 2).map(endOf));
  t.same(ends, new Array(users / 2).fill(0), 'those that waited have met no error');
  const { unwell } = await world.json<StatusView>('status');
  t.same(unwell, []);

  const file = await open(path, 'r');
  const content = Buffer.alloc(2 * users * chunkBytes);
  await file.read(content, 0, content.length, 0);
  await file.close();
  const expected = pattern(2 * users * chunkBytes, 1);
  for (let n = users / 2; n < users; n += 1) {
    if (n % 2 === 1) expected.fill(0, n * chunkBytes, (n + 1) * chunkBytes);
  }
  t.ok(content.equals(expected), 'and the writes of those that were killed are not there');
});

t.test('what waits is refused when the policy becomes deny, or the disk is detached', async (t) => {
  const world = await startWorld(t);
  const path = await suspendedVolume(t, world);
  const first = use(path, 'write', 0);
  await sleep(settleMs);
  await world.keyvol('volume', 'set', 'v', '--on-key-loss', 'deny');
  t.not(await endOf(first), 0);
  await world.keyvol('volume', 'set', 'v', '--on-key-loss', 'suspend');
  const second = use(path, 'read', 0);
  await sleep(settleMs);
  t.equal(second.exitCode, null, 'it waits again');
  await world.keyvol('volume', 'detach', 'v', '--force');
  t.not(await endOf(second), 0, 'a detach by force ends the wait');
});

t.test('a daemon stops though programs wait for its disk', async (t) => {
  const world = await startWorld(t);
  const path = await suspendedVolume(t, world);
  const reader = use(path, 'read', 0);
  await sleep(settleMs);
  const stopped = await world.try('daemon', 'stop');
  t.equal(stopped.status, 0, stopped.stderr);
  t.not(await endOf(reader), 0);
  await world.start();
});
