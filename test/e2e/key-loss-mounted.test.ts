/**
 * A key is lost and comes back under a mounted filesystem at work, whatever is done to it meanwhile:
 * what is cached ends within a second, no process is stuck, and after the key is enabled it is
 * mounted read-write with everything that was acknowledged.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import t, { type Test } from 'tap';
import type { KeyChangeView, StatusView } from '../../dist/api/types.js';
import { ReportingReader } from '../support/reporting-reader.js';
import { findDamage, slotBytes } from '../support/slots.js';
import { slots, SteadyWriter } from '../support/steady-load.js';
import { command, must, sleep, startWorld, type World } from '../support/world.js';

const filesystems = {
  ext4: ['e2fsck', '-fn'],
  xfs: ['xfs_repair', '-n'],
  btrfs: ['btrfs', 'check', '--readonly'],
} as const;
const cachedMib = 16;
const stuckAfterMs = 10_000;

interface Gated {
  readonly world: World;
  readonly directory: string;
}

interface Case {
  readonly name: string;
  readonly policy: 'deny' | 'suspend';
  /** Whether programs that have files open may have to open them again. */
  readonly breaks: (filesystem: string) => boolean;
  readonly during: (t: Test, gated: Gated) => Promise<void>;
}

const cases: readonly Case[] = [
  {
    name: 'while programs look, and sync, and the daemon is killed twice',
    policy: 'deny',
    breaks: () => false,
    during: async (t, { world, directory }) => {
      await world.kill(await world.pid());
      await world.respawn();
      t.not((await command('cat', join(directory, 'cached'))).status, 0, 'still nothing is read');
      await world.kill(await world.pid());
      await world.respawn();
    },
  },
  {
    name: 'while another program unfreezes it',
    policy: 'deny',
    breaks: (filesystem) => filesystem !== 'ext4',
    during: async (_t, { directory }) => {
      // It may have to wait for the key.
      background('fsfreeze', '--unfreeze', directory);
      await sleep(300);
    },
  },
  {
    name: 'while it is unmounted',
    policy: 'deny',
    breaks: () => false,
    during: async (t, { world, directory }) => {
      t.match(await world.try('volume', 'unmount', 'v'), { status: 6, stderr: /in use/ });
      t.not((await command('umount', directory)).status, 0, 'a program has files open');
      await must('umount', '--lazy', directory);
    },
  },
  {
    name: 'and programs wait for it',
    policy: 'suspend',
    breaks: () => false,
    during: async (t, { world, directory }) => {
      const reader = background('cat', join(directory, 'cached'));
      await sleep(300);
      t.equal(reader.exitCode, null, 'a reader waits');
      await world.kill(await world.pid());
      await world.respawn();
      t.equal(reader.exitCode, null, 'over a restart, too');
    },
  },
];

const waiting = new Set<ChildProcess>();

function background(program: string, ...args: string[]): ChildProcess {
  const child = spawn(program, args, { stdio: 'ignore' });
  waiting.add(child);
  child.once('exit', () => waiting.delete(child));
  return child;
}

/** Programs that are waiting end now, and so does their wait for the disk. */
async function nobodyIsStuck(t: Test): Promise<void> {
  const names = [...waiting].map((child) => child.spawnargs.join(' '));
  await Promise.race([
    Promise.all([...waiting].map((child) => once(child, 'exit'))),
    sleep(stuckAfterMs),
  ]);
  t.equal(waiting.size, 0, `${names.join(', ')} ended`);
}

async function prepare(world: World, filesystem: string, policy: string): Promise<string> {
  await world.keyvol('key', 'create', 'app');
  const create = ['volume', 'create', 'v', '--size', '400M', '--key', 'app'];
  await world.keyvol(...create, '--on-key-loss', policy);
  const directory = join(world.directory, 'mnt');
  await must('mkdir', directory);
  await world.keyvol('volume', 'mount', 'v', directory, '--mkfs', filesystem);
  await writeFile(join(directory, 'cached'), Buffer.alloc(cachedMib << 20, 'plaintext'));
  await writeFile(join(directory, 'slots'), '');
  await truncate(join(directory, 'slots'), slots * slotBytes);
  await must('sync', '-f', directory);
  return directory;
}

async function look(t: Test, directory: string, policy: string): Promise<void> {
  for (const program of ['ls -l', 'stat', 'find', 'sync -f']) {
    const [name = '', ...args] = program.split(' ');
    background(name, ...args, directory);
  }
  background('sync');
  if (policy === 'suspend') return;
  t.not((await command('cat', join(directory, 'cached'))).status, 0, 'what was cached is not read');
}

for (const [filesystem, check] of Object.entries(filesystems)) {
  for (const { name, policy, breaks, during } of cases) {
    t.test(`${filesystem}: the key is lost ${name}`, { timeout: 120_000 }, async (t) => {
      const world = await startWorld(t);
      const directory = await prepare(world, filesystem, policy);
      const writer = new SteadyWriter(join(directory, 'slots'));
      const reader = new ReportingReader(t, join(directory, 'cached'));
      await sleep(500);

      const lost = await world.json<KeyChangeView>('key', 'disable', 'app');
      const answeredMs = Date.now();
      t.match(lost.disks, [{ disk: 'v', outcome: 'closed' }], JSON.stringify(lost.disks));
      await look(t, directory, policy);
      await sleep(1200);
      if (policy === 'deny') {
        const { lastSuccessMs, failuresSince } = await reader.report();
        t.ok(lastSuccessMs <= answeredMs + 1000, `read for ${lastSuccessMs - answeredMs} ms`);
        t.ok(failuresSince > 0, 'reads fail');
      }
      await during(t, { world, directory });
      const acknowledged = Math.max(...writer.now().acked);

      const back = await world.json<KeyChangeView>('key', 'enable', 'app');
      t.match(back.disks, [{ disk: 'v', outcome: 'reopened' }], JSON.stringify(back.disks));
      t.equal(back.disks[0]?.detail !== undefined, breaks(filesystem), 'broken or not');
      await nobodyIsStuck(t);
      await sleep(500);
      t.match(await must('findmnt', '-no', 'OPTIONS', directory), /^rw,/, 'mounted read-write');
      const { unwell } = await world.json<StatusView>('status');
      t.same(unwell, [], 'the disk is well');
      if (!breaks(filesystem)) {
        t.ok(writer.longestPauseMs < Infinity, 'the writer met no error');
        t.ok(Math.max(...writer.now().acked) > acknowledged, 'and has gone on');
      }
      await writer.stop();
      reader.stop();
      const cached = readFileSync(join(directory, 'cached'));
      t.ok(cached.equals(Buffer.alloc(cachedMib << 20, 'plaintext')), 'all is there');
      const { history } = writer;
      t.same(
        await findDamage(join(directory, 'slots'), history, history),
        [],
        'and what was fsynced',
      );
      await writeFile(join(directory, 'new'), 'new');
      await world.keyvol('volume', 'unmount', 'v');
      await world.keyvol('volume', 'attach', 'v');
      const [program, ...args] = check;
      const checked = await command(program, ...args, world.volumePath('v'));
      t.equal(checked.status, 0, `fsck is clean: ${checked.stdout}${checked.stderr}`);
    });
  }
}
