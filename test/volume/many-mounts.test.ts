// DESIGN §4: a second for all disks of a key, however many are mounted. Each is synced and unmounted
// on a thread of its own: with the four that Node has by itself, eight would wait for each other.
import t from 'tap';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon } from '../support/daemon.js';
import { isRoot, tempDirectory } from '../support/temp.js';

const skip = isRoot ? false : 'mounting needs root';
const count = 8;

t.test('eight mounted volumes of one key', { skip, timeout: 120_000 }, async (t) => {
  const root = tempDirectory(t);
  const daemon = await startDaemon(t);
  // Stopped, not killed, so that nothing stays mounted.
  t.teardown(() => daemon.stop());
  const { client } = daemon;
  await client.createKey({ name: 'app' });
  const directories = Array.from({ length: count }, (_, n) => join(root, String(n)));
  for (const [n, directory] of directories.entries()) {
    mkdirSync(directory);
    const name = `v${String(n)}`;
    await client.createVolume({ name, size: 64 * 1048576, key: 'app' });
    await client.mountVolume(name, { directory, mkfs: 'ext4' });
    writeFileSync(join(directory, 'file'), Buffer.alloc(4 * 1048576, name));
  }
  const startedMs = performance.now();
  const { disks } = await client.disableKey('app');
  t.ok(performance.now() - startedMs < 1000, 'within the second that was promised');
  t.same(
    disks.map(({ outcome }) => outcome),
    Array.from({ length: count }, () => 'closed'),
  );
  const { disks: back } = await client.enableKey('app');
  t.same(
    back.map(({ outcome }) => outcome),
    Array.from({ length: count }, () => 'reopened'),
  );
  for (const [n, directory] of directories.entries()) {
    const file = readFileSync(join(directory, 'file'));
    t.ok(file.equals(Buffer.alloc(4 * 1048576, `v${String(n)}`)));
  }
});
