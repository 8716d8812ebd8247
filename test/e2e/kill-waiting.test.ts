/**
 * `kill -9` while a thread of the daemon waits on one of its own disks, as unmount does: such a
 * process cannot end, and keeps its locks and its socket, until someone cuts that disk off. The
 * next start must, and must lose nothing.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { traceProcess } from '../support/strace.js';
import { must, sleep, startWorld } from '../support/world.js';

t.test('a daemon that was killed while it unmounts does not block the next one', async (t) => {
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '64M', 'ext4');
  await writeFile(join(directory, 'kept'), 'fsynced before', { flush: true });
  await must('sync', '-f', directory);
  await writeFile(join(directory, 'dirty'), 'makes the unmount write');

  const pid = await world.pid();
  const tracing = await traceProcess(pid, 'pwrite64:delay_enter=10s');
  const unmounted = world.try('volume', 'unmount', 'v');
  await sleep(1000);
  process.kill(pid, 'SIGKILL');
  await tracing.end();

  const started = await world.try('daemon', 'start');
  t.equal(started.status, 0, `the next daemon starts: ${started.stderr}`);
  t.equal((await unmounted).status, 7, 'who waited is told that the daemon is gone');
  t.equal(await readFile(join(directory, 'kept'), 'utf8'), 'fsynced before', 'mounted again');
  await world.keyvol('volume', 'unmount', 'v');
});
