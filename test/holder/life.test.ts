/** The holder beside a daemon's life: restarts, deaths of either or both, keys that go meanwhile. */
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { holdersBelow, mountsOf } from '../support/mounts.js';
import { findDamage, slotBytes } from '../support/slots.js';
import { slots, SteadyWriter } from '../support/steady-load.js';
import { tempDirectory } from '../support/temp.js';
import { eventually } from '../support/wait.js';
import { command, must, sleep, startWorld } from '../support/world.js';

t.setTimeout(180_000);

async function attached(t: Test, args: readonly string[] = []) {
  const daemon = await startDaemon(t, { args });
  await daemon.client.createKey({ name: 'k' });
  await daemon.client.createVolume({ name: 'v', size: 1 << 20, key: 'k' });
  await daemon.client.attachVolume('v', {});
  return { daemon, path: pathOf(daemon) };
}

const pathOf = ({ runtimeDir }: TestDaemon): string => join(runtimeDir, 'disks', 'volumes', 'v');

const again = (t: Test, { stateDir, runtimeDir }: TestDaemon): Promise<TestDaemon> =>
  startDaemon(t, { stateDir, runtimeDir });

/** What a read of a file that is open gives: its first byte, or an error's code. */
async function firstByte(file: Awaited<ReturnType<typeof open>>): Promise<number | string> {
  try {
    const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer[0] ?? -1;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

async function opened(t: Test, path: string) {
  await writeFile(path, Buffer.alloc(4096, 7), { flag: 'r+' });
  const file = await open(path, 'r');
  t.teardown(() => file.close());
  return file;
}

t.test('a restart keeps mounts, and what is written meanwhile waits', async (t) => {
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '64M', 'ext4');
  const file = join(directory, 'slots');
  await writeFile(file, '');
  await truncate(file, slots * slotBytes);
  await must('sync', '-f', directory);
  const writer = new SteadyWriter(file);
  for (let i = 0; i < 3; i += 1) {
    const before = await world.pid();
    t.match(await world.keyvol('daemon', 'restart'), /is mounted at .* as before/);
    t.not(await world.pid(), before, 'it is another process');
    await sleep(100);
  }
  await writer.stop();
  t.ok(writer.longestPauseMs < 3000, `the longest pause took ${writer.longestPauseMs} ms`);
  t.same(await findDamage(file, writer.history, writer.history), []);
  await world.keyvol('volume', 'unmount', 'v');
});

t.test('a key that goes meanwhile is gone before anything is answered', async (t) => {
  const { daemon, path } = await attached(t);
  const file = await opened(t, path);
  t.equal(await firstByte(file), 7);
  await daemon.client.disableKey('k');
  await daemon.kill();
  const locked = await again(t, daemon);
  t.equal(await firstByte(file), 'EIO', 'a file that was open answers nothing');
  await locked.client.enableKey('k');
  t.equal(await firstByte(file), 7, 'and goes on with the key');
  await locked.kill();
  const last = await again(t, daemon);
  t.equal(await firstByte(file), 7);
  await last.client.detachVolume('v', { force: true });
  t.equal(await firstByte(file), 'EIO');
  await last.stop();
});

t.test('a kill while a key is lost under a mount', async (t) => {
  const at = join(tempDirectory(t), 'mnt');
  mkdirSync(at);
  let daemon = await startDaemon(t);
  await daemon.client.createKey({ name: 'k' });
  await daemon.client.createVolume({ name: 'm', size: 64 << 20, key: 'k' });
  await daemon.client.mountVolume('m', { directory: at, mkfs: 'ext4' });
  const file = join(at, 'kept');
  writeFileSync(file, 'synced');
  await must('sync', '-f', at);
  for (const delayMs of [0, 5, 20, 80]) {
    const disabled = daemon.client.disableKey('k').catch(() => undefined);
    await sleep(delayMs);
    await daemon.kill();
    await disabled;
    daemon = await again(t, daemon);
    const { state } = await daemon.client.showKey('k');
    const content = await readFile(file, 'utf8').catch(() => 'unreadable');
    t.equal(
      content,
      state === 'enabled' ? 'synced' : 'unreadable',
      `after ${delayMs} ms: ${state}`,
    );
    await daemon.client.enableKey('k');
    t.equal(await readFile(file, 'utf8'), 'synced', 'mounted, with what was there');
  }
  await daemon.stop();
  t.same(mountsOf(daemon.runtimeDir), []);
});

t.test('a file of a disk that is gone never shows another', async (t) => {
  const { daemon, path } = await attached(t);
  const file = await opened(t, path);
  await daemon.client.detachVolume('v', { force: true });
  await daemon.client.createVolume({ name: 'w', size: 1 << 20 });
  await daemon.client.attachVolume('w', {});
  await daemon.kill();
  const next = await again(t, daemon);
  t.equal(await firstByte(file), 'EIO');
  await next.stop();
});

t.test('a holder that dies has a successor, which keeps the mount', async (t) => {
  const { daemon, path } = await attached(t);
  const file = await opened(t, path);
  const [first = 0] = holdersBelow(daemon.runtimeDir);
  process.kill(first, 'SIGKILL');
  await eventually(() => holdersBelow(daemon.runtimeDir).some((pid) => pid !== first));
  await eventually(() => daemon.output().includes('another has taken its place'));
  await daemon.kill();
  const next = await again(t, daemon);
  t.equal(await firstByte(file), 7);
  await next.stop();
  t.same(holdersBelow(daemon.runtimeDir), [], 'a stop ends it');
});

t.test('a stop in the moment when the holder is dead leaves nothing', async (t) => {
  const { daemon } = await attached(t);
  const at = join(tempDirectory(t), 'mnt');
  mkdirSync(at);
  await daemon.client.createVolume({ name: 'm', size: 64 << 20 });
  await daemon.client.mountVolume('m', { directory: at, mkfs: 'ext4' });
  for (const pid of holdersBelow(daemon.runtimeDir)) process.kill(pid, 'SIGKILL');
  t.same(await daemon.stop(), { status: 0, signal: null });
  t.same(mountsOf(daemon.runtimeDir), []);
  t.same(holdersBelow(daemon.runtimeDir), []);
});

for (const isLocked of [false, true]) {
  const what = `without a daemon ${isLocked ? 'and a key ' : ''}it ends after its time`;
  t.test(`${what}, and whoever waits with an error`, async (t) => {
    const { daemon, path } = await attached(t, ['--holder-timeout', '1s']);
    const file = await opened(t, path);
    const at = join(tempDirectory(t), 'mnt');
    mkdirSync(at);
    await daemon.client.createVolume({ name: 'm', size: 64 << 20, key: 'k' });
    await daemon.client.mountVolume('m', { directory: at, mkfs: 'ext4' });
    writeFileSync(join(at, 'kept'), 'synced');
    await must('sync', '-f', at);
    if (isLocked) await daemon.client.disableKey('k');
    const writer = command('dd', 'if=/dev/zero', `of=${join(at, 'new')}`, 'count=1', 'conv=fsync');
    if (isLocked) await sleep(200);
    else await writer;
    await daemon.kill();
    t.match(await firstByte(file), /ENOTCONN|ECONNABORTED|EIO/);
    t.equal((await writer).status, isLocked ? 1 : 0);
    await eventually(() => holdersBelow(daemon.runtimeDir).length === 0);
    const next = await again(t, daemon);
    if (isLocked) await next.client.enableKey('k');
    const { recovery } = await next.client.status();
    t.match(recovery.join('\n'), /unmounted .*, left by a former daemon/);
    t.equal(await readFile(join(at, 'kept'), 'utf8'), 'synced');
    await next.stop();
    t.same(mountsOf(daemon.runtimeDir), []);
  });
}

t.test('a holder that dies while a filesystem is locked', async (t) => {
  const { daemon } = await attached(t);
  const at = join(tempDirectory(t), 'mnt');
  mkdirSync(at);
  await daemon.client.createVolume({ name: 'm', size: 64 << 20, key: 'k' });
  await daemon.client.mountVolume('m', { directory: at, mkfs: 'ext4' });
  await daemon.client.disableKey('k');
  for (const pid of holdersBelow(daemon.runtimeDir)) process.kill(pid, 'SIGKILL');
  await eventually(() => daemon.output().includes('another has taken its place'));
  const writer = command('dd', 'if=/dev/zero', `of=${join(at, 'new')}`, 'count=1', 'conv=fsync');
  await daemon.kill();
  const next = await again(t, daemon);
  t.match((await next.client.enableKey('k')).disks, [
    { outcome: 'reopened' },
    { outcome: 'reopened' },
  ]);
  t.equal((await writer).status, 0);
  await next.stop();
  t.same(mountsOf(daemon.runtimeDir), []);
});

t.test('a mount that somebody aborted is made anew', async (t) => {
  const { daemon, path } = await attached(t);
  await opened(t, path);
  await daemon.kill();
  await must('umount', '--force', '--lazy', join(daemon.runtimeDir, 'disks'));
  const next = await again(t, daemon);
  const file = await open(path, 'r');
  t.equal(await firstByte(file), 7);
  await file.close();
  await next.stop();
});

t.test('stopping a daemon that was killed unmounts what is not in use', async (t) => {
  const world = await startWorld(t);
  await world.keyvol('volume', 'create', 'v', '--size', '1M');
  await world.keyvol('volume', 'attach', 'v');
  const file = openSync(world.volumePath('v'), 'r');
  await world.kill(await world.pid());
  const refused = await world.try('daemon', 'stop');
  t.equal(refused.status, 6);
  t.match(refused.stderr, /disks of a killed daemon are in use/);
  t.match(refused.stderr, /hint: keyvol daemon start, then keyvol daemon stop/);
  const none = await world.try('daemon', 'start', '--fuse-driver', 'none');
  t.match(none.stderr, /disks that a killed daemon has left are in use/);
  closeSync(file);
  t.match(
    await world.keyvol('daemon', 'stop'),
    'keyvold was not running; unmounted what it had left',
  );
  t.equal((await world.keyvol('daemon', 'stop')).trim(), 'keyvold is not running');
  t.same(mountsOf(world.runtimeDir), []);
  await world.start();
  t.match(await world.json('status'), { attached: 1 });
});
