/** What users and programs do to a mounted volume whose key is lost, and to its directory before. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DiskView, KeyChangeView } from '../../dist/api/types.js';
import { command, must, sleep, startWorld, type World } from '../support/world.js';

// Maps a file, and touches the mapping for every line that it is sent.
const mapping = `
import mmap, os, sys
pages = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 65536, mmap.MAP_SHARED, mmap.PROT_READ)
print(chr(pages[5000]), flush=True)
for line in sys.stdin: print(chr(pages[5000]), flush=True)
`;

interface Mounted {
  readonly world: World;
  readonly directory: string;
  readonly file: string;
}

async function mounted(t: Test): Promise<Mounted> {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'v', '--size', '64M', '--key', 'app');
  const directory = join(world.directory, 'mnt');
  await must('mkdir', directory);
  await world.keyvol('volume', 'mount', 'v', directory, '--mkfs', 'ext4');
  const file = join(directory, 'file');
  await writeFile(file, Buffer.alloc(1 << 20, 'k'));
  await must('sync', '-f', directory);
  return { world, directory, file };
}

async function change(world: World, ...args: string[]): Promise<KeyChangeView['disks'][number]> {
  const { disks } = await world.json<KeyChangeView>('key', ...args);
  if (disks.length !== 1 || disks[0] === undefined)
    throw new Error(`${String(disks.length)} disks`);
  return disks[0];
}

async function map(file: string): Promise<ChildProcess> {
  const child = spawn('/usr/bin/python3', ['-c', mapping, file], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  return child;
}

const isMounted = async (directory: string): Promise<boolean> =>
  (await command('mountpoint', '-q', directory)).status === 0;

async function isClean(t: Test, { world }: Mounted): Promise<void> {
  await world.keyvol('volume', 'attach', 'v');
  const check = await command('e2fsck', '-fn', world.volumePath('v'));
  t.equal(check.status, 0, `fsck is clean: ${check.stdout}${check.stderr}`);
}

t.test('programs that have its files mapped are named, and ended when asked for', async (t) => {
  const { world, file } = await mounted(t);
  const reader = await map(file);
  const named = await change(world, 'disable', 'app');
  t.match(named, { outcome: 'closed', detail: `python3 (${String(reader.pid)})` });
  t.match(named.detail, /stays readable .*--kill-users/);
  const seen = once(reader.stdout ?? reader, 'data');
  reader.stdin?.write('again\n');
  t.equal(String(((await seen) as [Buffer])[0]).trim(), 'k', 'as it says');
  t.match(await change(world, 'enable', 'app'), { outcome: 'reopened' });

  const ended = once(reader, 'exit');
  const killed = await change(world, 'disable', 'app', '--kill-users');
  t.same(await ended, [null, 'SIGKILL']);
  t.match(killed.detail, new RegExp(`^ended the programs .*python3 .${String(reader.pid)}.$`));
  t.not((await command('cat', file)).status, 0);
  t.match(await change(world, 'enable', 'app'), { outcome: 'reopened' });
  t.equal((await command('cat', file)).status, 0);
});

t.test('a directory that the user has unmounted: the host is not frozen', async (t) => {
  const { world, directory, file } = await mounted(t);
  await must('umount', directory);
  const snapshot = await world.try('snapshot', 'create', 'v@one');
  t.equal(snapshot.status, 0, snapshot.stderr);
  await writeFile(join(directory, 'of the host'), 'not frozen');
  await must('rm', join(directory, 'of the host'));
  t.match(await change(world, 'disable', 'app'), { outcome: 'closed' });
  await writeFile(join(world.directory, 'of the host'), 'not frozen');
  t.match(await change(world, 'enable', 'app'), { outcome: 'reopened' });
  t.equal((await command('cat', file)).status, 0, 'it is mounted again');
});

t.test('a locked filesystem that nobody uses can be unmounted', async (t) => {
  const all = await mounted(t);
  const { world, directory } = all;
  await change(world, 'disable', 'app');
  await world.keyvol('volume', 'unmount', 'v');
  t.notOk(await isMounted(directory));
  t.match((await world.json<DiskView>('volume', 'show', 'v')).state, /available/);
  await world.keyvol('key', 'enable', 'app');
  await isClean(t, all);
});

t.test('a daemon stops with a locked filesystem that programs use, and starts', async (t) => {
  const all = await mounted(t);
  const { world, directory, file } = all;
  const reader = await map(file);
  await change(world, 'disable', 'app');
  const writer = spawn('dd', ['if=/dev/zero', `of=${join(directory, 'new')}`, 'count=1']);
  await sleep(300);
  t.equal(writer.exitCode, null, 'a writer waits');
  const ended = once(writer, 'exit');
  const stopped = await world.try('daemon', 'stop');
  t.equal(stopped.status, 0, stopped.stderr);
  await ended;
  reader.kill();
  t.notOk(await isMounted(directory));
  await world.start();
  t.notOk(await isMounted(directory), 'the key is still lost');
  t.match(await change(world, 'enable', 'app'), { outcome: 'reopened' });
  t.equal((await command('cat', file)).status, 0, 'it is mounted again');
  await world.keyvol('volume', 'unmount', 'v');
  await isClean(t, all);
});

t.test('a locked filesystem is locked after a stop and a start, too', async (t) => {
  const { world, directory, file } = await mounted(t);
  await change(world, 'disable', 'app');
  await world.keyvol('daemon', 'restart');
  t.ok(await isMounted(directory), 'a restart leaves it mounted');
  t.not((await command('cat', file)).status, 0);
  t.match(await change(world, 'enable', 'app'), { outcome: 'reopened' });
  t.equal((await command('cat', file)).status, 0);
});

t.test('a key that is lost and found at once, many times', async (t) => {
  const all = await mounted(t);
  const { world, file, directory } = all;
  for (let round = 0; round < 5; round += 1) {
    const both = [world.try('key', 'disable', 'app'), world.try('key', 'enable', 'app')];
    for (const { status, stderr } of await Promise.all(both)) t.equal(status, 0, stderr);
    await world.keyvol('key', 'enable', 'app');
    await writeFile(join(directory, `round ${String(round)}`), 'done');
  }
  t.equal((await command('cat', file)).status, 0);
  await world.keyvol('volume', 'unmount', 'v');
  await isClean(t, all);
});
