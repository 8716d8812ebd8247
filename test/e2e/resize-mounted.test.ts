/**
 * A mounted volume becomes larger under programs that use it: its loop device at once, its
 * filesystem when that is asked for, and each filesystem's own check finds it clean afterwards.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DiskView } from '../../dist/api/types.js';
import { command, must, sleep, startWorld, type World } from '../support/world.js';

const mib = 2 ** 20;

const filesystems = [
  { name: 'ext4', mib: 32, fsck: ['e2fsck', '-fn'] },
  { name: 'xfs', mib: 320, fsck: ['xfs_repair', '-n'] },
  { name: 'btrfs', mib: 128, fsck: ['btrfs', 'check', '--readonly'] },
] as const;

type Filesystem = (typeof filesystems)[number];

async function filesystemBytes(directory: string): Promise<number> {
  const { blocks, bsize } = await statfs(directory);
  return blocks * bsize;
}

async function loopBytes(directory: string): Promise<number> {
  const loop = (await must('findmnt', '--noheadings', '--output', 'SOURCE', directory)).trim();
  return Number(await must('blockdev', '--getsize64', loop));
}

async function isClean(t: Test, world: World, { fsck: [program, ...args] }: Filesystem) {
  await world.keyvol('volume', 'unmount', 'v');
  await world.keyvol('volume', 'attach', 'v');
  const check = await command(program, ...args, world.volumePath('v'));
  t.equal(check.status, 0, `${program} finds nothing: ${check.stdout}${check.stderr}`);
  await world.keyvol('volume', 'detach', 'v');
}

/** Writes and flushes file after file until it is told to stop; the names it wrote. */
function writing(t: Test, directory: string): () => Promise<string[]> {
  const end = new AbortController();
  t.teardown(() => end.abort());
  const names: string[] = [];
  const work = (async (): Promise<void> => {
    while (!end.signal.aborted) {
      const name = join(directory, `file${String(names.length % 64)}`);
      await writeFile(name, randomBytes(16384), { flush: true });
      names.push(name);
    }
  })();
  return async () => {
    end.abort();
    await work;
    return names;
  };
}

/** The kernel lets only who has CAP_SYS_RESOURCE do this to ext4; a container's root lacks it. */
const mayGrowExt4 = (() => {
  const effective = /CapEff:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;
})();

for (const filesystem of filesystems.filter(({ name }) => name !== 'ext4' || mayGrowExt4)) {
  t.test(`${filesystem.name} grows under a program that writes`, async (t) => {
    const world = await startWorld(t);
    const size = (factor: number): string => `${String(filesystem.mib * factor)}M`;
    const directory = await world.mountNew('v', size(1), filesystem.name);
    await writeFile(join(directory, 'kept'), Buffer.alloc(mib, 'k'), { flush: true });
    const stop = writing(t, directory);
    const before = await filesystemBytes(directory);

    await world.keyvol('volume', 'resize', 'v', '--size', size(2));
    t.equal(await loopBytes(directory), 2 * filesystem.mib * mib, 'its loop device has grown');
    t.equal((await stat(world.volumePath('v'))).size, 2 * filesystem.mib * mib);
    t.equal(await filesystemBytes(directory), before, 'its filesystem has not');

    await world.keyvol('volume', 'resize', 'v', '--size', size(2), '--grow-filesystem');
    const twice = await filesystemBytes(directory);
    t.ok(twice > before + 0.8 * filesystem.mib * mib, 'asked again, it has');
    const view = await world.json<DiskView>(
      ...['volume', 'resize', 'v', '--size', size(4), '--grow-filesystem'],
    );
    t.match(view, { size: 4 * filesystem.mib * mib, state: 'in-use' });
    t.ok((await filesystemBytes(directory)) > twice + 1.6 * filesystem.mib * mib, 'both at once');

    t.ok((await stop()).length > 0);
    await must('fallocate', '--length', size(2), join(directory, 'large'));
    t.ok((await readFile(join(directory, 'kept'))).equals(Buffer.alloc(mib, 'k')));
    await isClean(t, world, filesystem);
    await world.keyvol('volume', 'mount', 'v', directory);
    t.equal((await stat(join(directory, 'large'))).size, 2 * filesystem.mib * mib);
    await isClean(t, world, filesystem);
  });
}

t.test('ext4 grows on the attached file, too, as it is told where it cannot mounted', async (t) => {
  const [ext4] = filesystems;
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '32M', ext4.name);
  const before = await filesystemBytes(directory);
  const asked = await world.try('volume', 'resize', 'v', '--size', '64M', '--grow-filesystem');
  t.equal(asked.status, mayGrowExt4 ? 0 : 5, asked.stderr);
  if (!mayGrowExt4) t.match(asked.stderr, /has grown, its ext4 not.*\n.*run resize2fs on its file/);
  t.equal(await loopBytes(directory), 64 * mib);
  await world.keyvol('volume', 'unmount', 'v');
  await world.keyvol('volume', 'attach', 'v');
  await must('e2fsck', '-fp', world.volumePath('v'));
  await must('resize2fs', world.volumePath('v'));
  await world.keyvol('volume', 'detach', 'v');
  await world.keyvol('volume', 'mount', 'v', directory);
  t.ok((await filesystemBytes(directory)) > before + 28 * mib);
  await isClean(t, world, ext4);
});

t.test('a daemon that is killed meanwhile leaves one size or the other', async (t) => {
  const filesystem = filesystems[2];
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '256M', filesystem.name);
  for (let round = 1; round <= 4; round += 1) {
    const stop = writing(t, directory);
    const pid = await world.pid();
    const before = (await world.json<DiskView>('volume', 'show', 'v')).size;
    const after = before + 8 * mib;
    const args = ['volume', 'resize', 'v', '--size', String(after), '--grow-filesystem'];
    const resized = world.try(...args);
    await sleep(100 + 30 * round);
    await world.kill(pid);
    const { status } = await resized;
    await world.start();
    const { size, state } = await world.json<DiskView>('volume', 'show', 'v');
    t.ok(size === after || (size === before && status !== 0), `${String(status)}: ${String(size)}`);
    t.equal(state, 'in-use');
    t.equal(await loopBytes(directory), size, 'its loop device has the same');
    await world.keyvol(...args);
    t.ok((await filesystemBytes(directory)) > after - 8 * mib, 'and it can be asked for again');
    t.ok((await stop()).length > 0);
  }
  await isClean(t, world, filesystem);
});

t.test('a key that is lost, or was, leaves what can go on', async (t) => {
  const filesystem = filesystems[2];
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'v', '--size', '256M', '--key', 'app');
  const directory = join(world.directory, 'mnt');
  await must('mkdir', directory);
  await world.keyvol('volume', 'mount', 'v', directory, '--mkfs', filesystem.name);
  const grow = (size: string) =>
    world.try('volume', 'resize', 'v', '--size', size, '--grow-filesystem');
  await world.keyvol('key', 'disable', 'app');
  t.equal((await grow('256M')).status, 4, 'its frozen filesystem is not waited for');
  t.equal((await grow('512M')).status, 4);
  await world.keyvol('key', 'enable', 'app');
  for (let round = 1; round <= 3; round += 1) {
    const growing = grow(`${String(256 + 32 * round)}M`);
    await sleep(100 + 40 * round);
    await world.keyvol('key', 'disable', 'app');
    const { status, stderr } = await growing;
    t.ok(status === 0 || status === 4, stderr);
    await world.keyvol('key', 'enable', 'app');
    const { size, attachment } = await world.json<DiskView>('volume', 'show', 'v');
    t.match(attachment, { gate: 'open', mounted_at: directory });
    t.equal(await loopBytes(directory), size);
    await writeFile(join(directory, 'file'), randomBytes(mib), { flush: true });
  }
  await world.keyvol('volume', 'resize', 'v', '--size', '512M');
  // Frozen by someone else, it cannot grow: the command waits, until the key is lost.
  t.teardown(() => command('fsfreeze', '--unfreeze', directory));
  await must('fsfreeze', '--freeze', directory);
  const waiting = grow('512M');
  await sleep(500);
  await world.keyvol('key', 'disable', 'app');
  const { status, stderr } = await waiting;
  t.equal(status, 4);
  t.match(stderr, /volume v has grown, its filesystem waits: key app is disabled/);
  await world.keyvol('key', 'enable', 'app');
  await must('fsfreeze', '--unfreeze', directory);
  t.equal((await grow('512M')).status, 0);
  t.equal(await filesystemBytes(directory), 512 * mib);
  await isClean(t, world, filesystem);
});
