/**
 * The disk below the filesystem of a running daemon's state fails for a while: reads, writes, or
 * both. The daemon lives, every command ends with an answer that says what is wrong, and once the
 * filesystem has been mounted again everything that was acknowledged is there.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { StatusView } from '../../dist/api/types.js';
import { removeMounts } from '../support/mounts.js';
import { diskFilesystems, mountDisk, serveDisk, type MountedDisk } from '../support/nbd-disk.js';
import { findDamage, slotBytes } from '../support/slots.js';
import { slots, SteadyWriter } from '../support/steady-load.js';
import { isRoot, tempDirectory } from '../support/temp.js';
import { eventually } from '../support/wait.js';
import { command, sleep, World } from '../support/world.js';

const skip = isRoot ? false : 'mounting needs root';
const failsForMs = 800;

/** What a boot does before it mounts. */
const fsck = { ext4: ['e2fsck', '-fy'], xfs: ['true'] } as const;

const commands = [
  ['status'],
  ['volume', 'list'],
  ['volume', 'show', 'v'],
  ['key', 'create', 'other'],
  ['volume', 'create', 'w', '--size', '1M'],
  ['snapshot', 'create', 'v@failing'],
  ['key', 'disable', 'app'],
  ['key', 'enable', 'app'],
  ['audit', 'list'],
];

/** What an operator sees of each command: it is done, or there is an error with a code. */
async function runCommands(t: Test, world: World): Promise<void> {
  for (const args of commands) {
    const { status, stderr } = await world.try(...args);
    const isAnswer = status === 0 || /^keyvol: .+\n/.test(stderr);
    t.ok(
      isAnswer && status !== 1 && status !== 7,
      `${args.join(' ')}: ${String(status)} ${stderr}`,
    );
  }
}

async function stopAll(t: Test, world: World, mounted: MountedDisk): Promise<void> {
  const { status, stderr } = await world.try('daemon', 'stop');
  t.equal(status, 0, `stop: ${stderr}`);
  await mounted.leave();
}

for (const below of diskFilesystems) {
  for (const operations of [['pread'], ['pwrite'], ['pread', 'pwrite', 'trim', 'zero']]) {
    t.test(`${operations.join(' and ')} fail under ${below.name}`, { skip }, async (t) => {
      const directory = tempDirectory(t);
      const failing = join(directory, 'failing');
      const faults = operations.flatMap((operation) => [
        `error-${operation}-rate=100%`,
        `error-${operation}-file=${failing}`,
      ]);
      const disk = await serveDisk(t, directory, '--filter=error', 'memory', '320M', ...faults);
      const [program, ...args] = below.mkfs;
      execFileSync(program, [...args, disk.path]);
      const at = join(directory, 'mnt');
      const mount = (): Promise<MountedDisk> => mountDisk(disk.path, at, below.name);
      const world = new World(join(directory, 'world'), join(at, 'state'));
      mkdirSync(world.directory);
      t.teardown(() => removeMounts(directory, false));
      let mounted = await mount();
      await world.start();
      await world.keyvol('key', 'create', 'app');
      const size = String(slots * slotBytes);
      await world.keyvol('volume', 'create', 'v', '--key', 'app', '--size', size);
      await world.keyvol('volume', 'attach', 'v');
      const pid = await world.pid();
      const writer = new SteadyWriter(world.volumePath('v'));
      await eventually(() => Math.max(...writer.history.acked) > 0);
      writeFileSync(failing, '');
      await Promise.all([runCommands(t, world), sleep(failsForMs)]);
      rmSync(failing);
      await runCommands(t, world);
      await writer.stop();
      t.equal(await world.pid(), pid, 'the daemon lives');

      await stopAll(t, world, mounted);
      const [check, ...options] = fsck[below.name];
      const checked = await command(check, ...options, disk.path);
      t.ok(checked.status === 0 || checked.status === 1, `${checked.stdout}${checked.stderr}`);
      mounted = await mount();
      await world.start();
      await world.keyvol('key', 'enable', 'app');
      t.same((await world.json<StatusView>('status')).unwell, [], 'every disk is well');
      const { history } = writer;
      t.same(await findDamage(world.volumePath('v'), history, history), [], 'all is there');
      await world.keyvol('volume', 'create', 'after', '--size', '1M');
      await stopAll(t, world, mounted);
      await disk.end();
    });
  }
}
