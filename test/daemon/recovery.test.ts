// A stop must leave nothing in the kernel, a kill must be repaired by the next start, and data that
// was synced must be there after either.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runDaemon, startDaemon, type TestDaemon } from '../support/daemon.js';
import { holdersBelow, loopsBelow, mountsOf, removeMounts } from '../support/mounts.js';
import { isRoot, tempDirectory } from '../support/temp.js';

const needsRoot = isRoot ? {} : { skip: 'needs root' };
// Real daemons, one after the other, on a machine that may have other things to do.
t.setTimeout(120_000);

const size = 64 << 20;

/** A daemon with volume db mounted, and a synced file on it. */
async function mountedDaemon(t: Test) {
  const directory = tempDirectory(t);
  const [stateDir, runtimeDir, at] = ['state', 'run', 'mnt'].map((name) => join(directory, name));
  if (stateDir === undefined || runtimeDir === undefined || at === undefined) throw new Error();
  mkdirSync(at);
  const daemon = await startDaemon(t, { stateDir, runtimeDir });
  t.teardown(() => removeMounts(runtimeDir, false));
  await daemon.client.createVolume({ name: 'db', size });
  await daemon.client.mountVolume('db', { directory: at, mkfs: 'ext4' });
  const file = join(at, 'file');
  writeFileSync(file, 'kept');
  execFileSync('sync', ['-f', file]);
  return { daemon, stateDir, runtimeDir, at, file };
}

/** Of the last mount on a directory, as mountinfo numbers them. */
function mountIdOf(directory: string): string | undefined {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').reverse();
  return lines.find((line) => line.split(' ')[4] === directory)?.split(' ')[0];
}

async function assertMountedAgain(t: Test, daemon: TestDaemon, at: string, file: string) {
  t.match(await daemon.client.showVolume('db'), {
    state: 'in-use',
    attachment: { mounted_at: at, gate: 'open', filesystem: 'ext4' },
  });
  t.equal(readFileSync(file, 'utf8'), 'kept');
}

t.test('a stop leaves nothing mounted, and a start brings it back', needsRoot, async (t) => {
  const { daemon, stateDir, runtimeDir, at, file } = await mountedDaemon(t);
  t.same(mountsOf(runtimeDir).sort(), [at, join(runtimeDir, 'disks')].sort());
  t.same(await daemon.stop(), { status: 0, signal: null });
  t.same(mountsOf(runtimeDir), []);
  t.same(loopsBelow(runtimeDir), []);
  const next = await startDaemon(t, { stateDir, runtimeDir });
  await assertMountedAgain(t, next, at, file);
  t.match((await next.client.status()).recovery, [`mounted volume db at ${at} again`]);
  await next.stop();
});

t.test('a start after a kill goes on with what is mounted', needsRoot, async (t) => {
  const { daemon, stateDir, runtimeDir, at, file } = await mountedDaemon(t);
  const mountedBefore = mountIdOf(at);
  await daemon.kill();
  const next = await startDaemon(t, { stateDir, runtimeDir });
  await assertMountedAgain(t, next, at, file);
  t.equal(mountIdOf(at), mountedBefore, 'it is the same mount');
  t.same((await next.client.status()).recovery, [`volume db is mounted at ${at} as before`]);
  await next.stop();
  t.same(mountsOf(runtimeDir), []);
  t.same(holdersBelow(runtimeDir), []);
});

t.test('a start after a kill of all cleans up and brings it back', needsRoot, async (t) => {
  const { daemon, stateDir, runtimeDir, at, file } = await mountedDaemon(t);
  const holders = holdersBelow(runtimeDir);
  t.equal(holders.length, 1, 'the mount has one holder');
  for (const pid of holders) process.kill(pid, 'SIGKILL');
  await daemon.kill();
  const next = await startDaemon(t, { stateDir, runtimeDir });
  await assertMountedAgain(t, next, at, file);
  t.equal(mountsOf(runtimeDir).length, 2, 'nothing is mounted twice');
  t.equal(loopsBelow(runtimeDir).length, 1);
  const { recovery } = await next.client.status();
  t.match(recovery.join('\n'), /unmounted .*\/mnt, left by a former daemon/);
  t.match(recovery.join('\n'), /detached \/dev\/loop\d+, left by a former daemon/);
  await next.stop();
  t.same(mountsOf(runtimeDir), []);
});

t.test('a start without FUSE forgets no attachment', needsRoot, async (t) => {
  const { daemon, stateDir, runtimeDir, at, file } = await mountedDaemon(t);
  await daemon.stop();
  const without = await startDaemon(t, { stateDir, runtimeDir, fuseDriver: 'none' });

  t.match(await without.client.status(), { fuse_driver: 'none', attached: 0 });
  await without.stop();
  const next = await startDaemon(t, { stateDir, runtimeDir });
  await assertMountedAgain(t, next, at, file);
  await next.stop();
});

t.test('a state directory on a volume of its own is refused', needsRoot, async (t) => {
  const { daemon, at } = await mountedDaemon(t);
  for (const stateDir of [join(at, 'state'), join(daemon.runtimeDir, 'disks', 'state')]) {
    const { status, output } = await runDaemon(t, { stateDir, runtimeDir: tempDirectory(t) });
    t.equal(status, 6);
    t.match(output, /^keyvold: error: state directory .* is on a disk of keyvol, mounted at /m);
  }
  t.same(execFileSync('ls', [at], { encoding: 'utf8' }), 'file\nlost+found\n');
  await daemon.stop();
});
