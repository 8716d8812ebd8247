/** After `kill -9` under a mounted filesystem the restarted daemon cleans up and mounts it again. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { StatusView } from '../../dist/api/types.js';
import { command, must, startWorld } from '../support/world.js';

t.test('a mounted volume comes back after kill -9, its fsynced files intact', async (t) => {
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '128M', 'ext4');
  await writeFile(join(directory, 'kept'), 'fsynced before', { flush: true });
  await must('sync', '-f', directory);

  await world.kill(await world.pid());
  await world.start();
  t.equal(await readFile(join(directory, 'kept'), 'utf8'), 'fsynced before');
  const { recovery, mounted } = await world.json<StatusView>('status');
  t.equal(mounted, 1, 'it is mounted again');
  t.ok(recovery.length > 0, 'and the daemon says what it did');
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  t.equal(mounts.split('\n').filter((line) => line.includes(` ${directory} `)).length, 1);
  const loops = await must('losetup', '--list', '--noheadings', '--output', 'BACK-FILE');
  t.equal(loops.split('\n').filter((line) => line.includes(world.directory)).length, 1);

  await world.keyvol('volume', 'unmount', 'v');
  await world.keyvol('volume', 'attach', 'v');
  const check = await command('e2fsck', '-fn', world.volumePath('v'));
  t.equal(check.status, 0, `fsck is clean: ${check.stdout}`);
});
