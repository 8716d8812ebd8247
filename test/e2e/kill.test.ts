/**
 * `kill -9` of the daemon at random moments, under writes and snapshots: nothing that was fsynced
 * is lost, every volume opens again by itself, snapshots hold what was there when they were made,
 * and nothing stale stays.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { copyHistory, findDamage, newHistory, type SlotHistory } from '../support/slots.js';
import { sleep, startScript, startWorld, type World } from '../support/world.js';

const kills = Number(process.env.KEYVOL_KILLS ?? '30');
const slots = 512;

interface Writer {
  readonly ended: Promise<unknown>;
  readonly process: ChildProcess;
}

/** Follows what the writer says: `issued` before a write, `acked` after the fsync. */
function startWriter(world: World, history: SlotHistory): Writer {
  const first = Math.max(...history.issued) + 1;
  const path = world.volumePath('v');
  const writer = startScript('slot-writer', path, String(slots), String(first));
  if (writer.stdout === null) throw new Error('the writer has no stdout');
  let pending: [number, number][] = [];
  const lines = createInterface({ input: writer.stdout }).on('line', (line) => {
    const [word, index, sequence] = line.split(' ');
    if (word === 'ack') {
      for (const [slot, number] of pending) history.acked[slot] = number;
      pending = [];
    } else {
      history.issued[Number(index)] = Number(sequence);
      pending.push([Number(index), Number(sequence)]);
    }
  });
  return { ended: once(lines, 'close'), process: writer };
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
  history: SlotHistory,
): Promise<TakenSnapshot | undefined> {
  const before = copyHistory(history);
  const made = await world.try('snapshot', 'create', `v@${name}`);
  // The pipe may still hold lines of writes that the snapshot has seen.
  await sleep(50);
  return made.status === 0 ? { name, before, after: copyHistory(history) } : undefined;
}

async function checkSnapshot(t: Test, world: World, snapshot: TakenSnapshot): Promise<void> {
  const name = `check-${snapshot.name}`;
  await world.keyvol('volume', 'create', name, '--snapshot', `v@${snapshot.name}`);
  await world.keyvol('volume', 'attach', name);
  const damage = await findDamage(world.volumePath(name), snapshot.before, snapshot.after);
  t.same(damage, [], `snapshot ${snapshot.name} holds what was durable when it was made`);
  await world.keyvol('volume', 'detach', name);
  await world.keyvol('volume', 'delete', name, '--yes');
}

async function staleMounts(world: World): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return mounts.filter((line) => line.includes(world.directory));
}

async function killOnce(t: Test, world: World, round: number, history: SlotHistory) {
  const pid = await world.pid();
  const writer = startWriter(world, history);
  await sleep(50 + Math.random() * 200);
  const snapshot = trySnapshot(world, `s${String(round)}`, history);
  await sleep(Math.random() * 300);
  await world.kill(pid);
  await writer.ended;
  const taken = await snapshot;

  await world.start();
  t.equal((await staleMounts(world)).length, 1, 'one mount, the new one');
  const damage = await findDamage(world.volumePath('v'), history, history);
  t.same(damage, [], `round ${String(round)}: nothing that was fsynced is lost`);
  if (taken !== undefined) await checkSnapshot(t, world, taken);
}

t.test(`${String(kills)} kills under load lose nothing that was fsynced`, async (t) => {
  const world = await startWorld(t);
  await world.keyvol('volume', 'create', 'v', '--size', String(slots * 4096));
  await world.keyvol('volume', 'attach', 'v');
  const history = newHistory(slots);
  for (let round = 1; round <= kills; round += 1) await killOnce(t, world, round, history);
  t.ok(Math.max(...history.acked) > kills, 'the writer was at work');
});
