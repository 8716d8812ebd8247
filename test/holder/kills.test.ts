/**
 * `kill -9` of the daemon, every 30 to 500 ms, under load and snapshots and while the key is lost, on
 * the file that FUSE shows and on filesystems mounted from it: programs wait, and notice nothing
 * else. Nothing that was fsynced is lost, snapshots hold what was there when they were made, nothing
 * stale stays.
 */
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { StatusView } from '../../dist/api/types.js';
import { findDamage, slotBytes, type SlotHistory } from '../support/slots.js';
import { slots, SteadyWriter, VerifyingFio } from '../support/steady-load.js';
import { command, must, sleep, startWorld, type World } from '../support/world.js';

const kills = Number(process.env.KEYVOL_KILLS ?? '10');
/** What users are promised (docs/guarantees.md). */
const longestPauseMs = 1500;

interface Target {
  readonly name: string;
  readonly fsck?: readonly [string, ...string[]];
}

const targets: readonly Target[] = [
  { name: 'the FUSE file' },
  { name: 'ext4', fsck: ['e2fsck', '-fn'] },
  { name: 'xfs', fsck: ['xfs_repair', '-n'] },
  { name: 'btrfs', fsck: ['btrfs', 'check', '--readonly'] },
];

interface Places {
  readonly slotFile: string;
  readonly fioFile: string;
  readonly directory?: string;
}

const create = ['volume', 'create', '--key', 'app', '--on-key-loss', 'suspend'];

async function prepare(world: World, { name, fsck }: Target): Promise<Places> {
  await world.keyvol('key', 'create', 'app');
  if (fsck === undefined) {
    for (const [volume, size] of [
      ['v', String(slots * slotBytes)],
      ['w', '32M'],
    ] as const) {
      await world.keyvol(...create, volume, '--size', size);
      await world.keyvol('volume', 'attach', volume);
    }
    return { slotFile: world.volumePath('v'), fioFile: world.volumePath('w') };
  }
  await world.keyvol(...create, 'v', '--size', '320M');
  const directory = join(world.directory, 'mnt');
  await must('mkdir', directory);
  await world.keyvol('volume', 'mount', 'v', directory, '--mkfs', name);
  const slotFile = join(directory, 'slots');
  await writeFile(slotFile, '');
  await truncate(slotFile, slots * slotBytes);
  await must('sync', '-f', directory);
  return { slotFile, fioFile: join(directory, 'fio'), directory };
}

interface TakenSnapshot {
  readonly name: string;
  readonly before: SlotHistory;
  readonly after: SlotHistory;
}

/** A snapshot under load; undefined if the kill came first. */
async function trySnapshot(
  world: World,
  name: string,
  writer: SteadyWriter,
): Promise<TakenSnapshot | undefined> {
  const before = writer.now();
  const made = await world.try('snapshot', 'create', `v@${name}`);
  // The pipe may still hold lines of writes that the snapshot has seen.
  await sleep(50);
  return made.status === 0 ? { name, before, after: writer.now() } : undefined;
}

/** The daemon is killed while the key is being lost, and the key comes back: programs wait for both. */
async function loseKey(
  world: World,
  writer: SteadyWriter,
  killSoon: () => Promise<void>,
): Promise<void> {
  await writer.exceptDuring(async () => {
    const disabled = world.try('key', 'disable', 'app');
    await killSoon();
    await disabled;
    await world.keyvol('key', 'enable', 'app');
  });
}

async function checkSnapshot(
  t: Test,
  world: World,
  { fsck }: Target,
  { name, before, after }: TakenSnapshot,
): Promise<void> {
  const volume = `check-${name}`;
  await world.keyvol('volume', 'create', volume, '--snapshot', `v@${name}`);
  let file = world.volumePath(volume);
  if (fsck === undefined) {
    await world.keyvol('volume', 'attach', volume);
  } else {
    const directory = join(world.directory, volume);
    await must('mkdir', directory);
    await world.keyvol('volume', 'mount', volume, directory);
    file = join(directory, 'slots');
  }
  t.same(await findDamage(file, before, after), [], `snapshot ${name} holds what was durable`);
  await world.keyvol('volume', fsck === undefined ? 'detach' : 'unmount', volume);
  await world.keyvol('volume', 'delete', volume, '--yes');
}

for (const target of targets) {
  t.test(`${String(kills)} kills under load on ${target.name}`, { timeout: 0 }, async (t) => {
    const world = await startWorld(t);
    const places = await prepare(world, target);
    const fio = new VerifyingFio(places.fioFile, 24);
    const writer = new SteadyWriter(places.slotFile);
    const taken: TakenSnapshot[] = [];
    let pid = await world.pid();
    const killSoon = async (): Promise<void> => {
      await sleep(30 + Math.random() * 470);
      await world.kill(pid);
      pid = await world.respawn();
    };
    for (let round = 0; round < kills; round += 1) {
      if (round % 5 === 3) {
        await loseKey(world, writer, killSoon);
        continue;
      }
      const isWithSnapshot = round % 3 === 2;
      const snapshot = isWithSnapshot ? trySnapshot(world, `s${String(round)}`, writer) : undefined;
      await killSoon();
      const made = await snapshot;
      if (made !== undefined && taken.length < 3) taken.push(made);
    }
    await sleep(300);
    const { error, operations, output } = await fio.stop();
    await writer.stop();
    t.equal(error, 0, `fio has verified all it read: ${error === 0 ? '' : output}`);
    t.ok(operations > kills * 10, `fio was at work: ${String(operations)} operations`);
    t.ok(Math.max(...writer.history.acked) > kills, 'the writer was at work');
    const pauseMs = Math.round(writer.longestPauseMs);
    t.ok(pauseMs < longestPauseMs, `the longest pause took ${String(pauseMs)} ms`);
    t.same(await findDamage(places.slotFile, writer.history, writer.history), [], 'all is there');
    for (const snapshot of taken) await checkSnapshot(t, world, target, snapshot);
    await checkEnd(t, world, target, places);
  });
}

async function checkEnd(t: Test, world: World, { fsck }: Target, places: Places): Promise<void> {
  const { unwell } = await world.json<StatusView>('status');
  t.same(unwell, [], 'every disk is well');
  if (fsck === undefined || places.directory === undefined) return;
  const options = await must('findmnt', '-no', 'OPTIONS', places.directory);
  t.match(options, /^rw,/, 'mounted read-write');
  await world.keyvol('volume', 'unmount', 'v');
  await world.keyvol('volume', 'attach', 'v');
  const [program, ...args] = fsck;
  const check = await command(program, ...args, world.volumePath('v'));
  t.equal(check.status, 0, `fsck is clean: ${check.stdout}${check.stderr}`);
}
