/**
 * Fifty attached volumes, everything at once: I/O that is verified, snapshots, rollbacks, clones,
 * images, attach and detach, mounted filesystems, keys that go and come back, and clients that never
 * finish a request. Nothing is lost or wrong, nothing but a lost key refuses, and nothing that the
 * daemon holds grows. KEYVOL_PRESSURE_SECONDS is how long.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { dirname } from 'node:path';
import t from 'tap';
import { rawRequest } from '../support/api.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { weigh, type Weight } from '../support/daemon-weight.js';
import { modelRandom, type ModelRandom } from '../support/model-random.js';
import { PressureDisk } from '../support/pressure-disk.js';
import { PressureMount } from '../support/pressure-mount.js';
import { PressureUser } from '../support/pressure-user.js';
import { isRoot, tempDirectory } from '../support/temp.js';
import { sleep } from '../support/world.js';

const seconds = Number(process.env.KEYVOL_PRESSURE_SECONDS ?? 300);
const seed = Number(process.env.KEYVOL_PRESSURE_SEED ?? Date.now() % 1e9);
const filesystems = ['ext4', 'xfs', 'btrfs'];
const volumes = 50 - filesystems.length;
const slowClients = 64;
const keys = ['alpha', 'beta', 'gamma'];
/** Of a mounted volume, so that it does not become too deep. */
const snapshots = 100;
const megabytes = 2 ** 20;

t.setTimeout((seconds + 600) * 1000);

async function untilAborted(signal: AbortSignal, step: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) await step();
}

async function toggleKey({ client }: TestDaemon, random: ModelRandom): Promise<void> {
  const key = random.pick(keys);
  await sleep(500 + random.below(1500));
  const { disks } = await client.disableKey(key);
  const lost = disks.filter(({ outcome }) => outcome === 'closed-unflushed');
  if (lost.length > 0) throw new Error(`not flushed in time: ${JSON.stringify(lost)}`);
  await sleep(random.below(300));
  await client.enableKey(key);
}

async function askAround({ client, socketPath }: TestDaemon): Promise<void> {
  await Promise.all([client.listVolumes(), client.listKeys(), client.status()]);
  const { status } = await rawRequest(socketPath, 'GET', '/metrics');
  if (status !== 200) throw new Error(`/metrics answers ${String(status)}`);
  await sleep(200);
}

/** Half a request, one more byte a second. */
async function beSlow(socketPath: string, signal: AbortSignal): Promise<void> {
  const socket: Socket = connect(socketPath);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('POST /keyvol/v1/keys HTTP/1.1\r\nContent-Type: application/json\r\nX-Slow: ');
  while (!signal.aborted) {
    if (!socket.destroyed) socket.write('x');
    await sleep(1000);
  }
  socket.destroy();
}

class Crowd {
  readonly users: readonly PressureUser[];
  readonly #daemon: TestDaemon;
  readonly mounts: readonly PressureMount[];
  readonly #random: ModelRandom;

  constructor(
    daemon: TestDaemon,
    users: readonly PressureUser[],
    mounts: readonly PressureMount[],
    random: ModelRandom,
  ) {
    this.#daemon = daemon;
    this.users = users;
    this.mounts = mounts;
    this.#random = random;
  }

  /** Everything at once; an error of anyone ends it. */
  async press(forSeconds: number): Promise<void> {
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(), forSeconds * 1000);
    const { signal } = end;
    const snapshotEveryMs = (seconds * 1000) / snapshots;
    const work = [
      ...this.users.map((user) => untilAborted(signal, () => user.step())),
      ...this.mounts.map((mount) => untilAborted(signal, () => mount.step(snapshotEveryMs))),
      untilAborted(signal, () => toggleKey(this.#daemon, this.#random)),
      untilAborted(signal, () => askAround(this.#daemon)),
      ...Array.from({ length: slowClients }, () => beSlow(this.#daemon.socketPath, signal)),
    ];
    try {
      await Promise.all(work);
    } finally {
      clearTimeout(timer);
      end.abort();
    }
  }

  /** What the daemon holds when nobody does anything. */
  async weighAtRest(): Promise<Weight> {
    await Promise.all(this.users.map((user) => user.detach()));
    await sleep(2000);
    const weight = weigh(this.#daemon.pid, dirname(this.#daemon.runtimeDir));
    // Each snapshot of a mounted volume has left it one more layer, which is a file.
    const layers = await Promise.all(this.mounts.map((mount) => mount.layers()));
    const descriptors = weight.descriptors - layers.reduce((sum, count) => sum + count, 0);
    return { ...weight, descriptors };
  }

  countDone(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { done } of this.users) {
      for (const [name, count] of done) counts.set(name, (counts.get(name) ?? 0) + count);
    }
    return counts;
  }
}

async function gather(daemon: TestDaemon, parent: string): Promise<Crowd> {
  const random = modelRandom(seed);
  const { client } = daemon;
  for (const name of keys) await client.createKey({ name });
  const users: PressureUser[] = [];
  for (let number = 0; number < volumes; number++) {
    const disk = new PressureDisk(number);
    const key = keys[number % keys.length] ?? '';
    await client.createVolume({ name: disk.name, size: megabytes, key });
    users.push(new PressureUser(daemon, disk, random));
  }
  const mounts: PressureMount[] = [];
  for (const [number, filesystem] of filesystems.entries()) {
    mounts.push(await PressureMount.make(daemon, filesystem, keys[number] ?? '', parent));
  }
  return new Crowd(daemon, users, mounts, random);
}

const skip = isRoot ? false : 'mounting needs root';
const name = `50 volumes for ${String(seconds)} s, seed ${String(seed)}`;

t.test(name, { skip }, async (t) => {
  const parent = tempDirectory(t);
  const daemon = await startDaemon(t);
  const crowd = await gather(daemon, parent);
  await crowd.press(seconds / 4);
  const warm = await crowd.weighAtRest();
  await crowd.press((seconds * 3) / 4);
  const end = await crowd.weighAtRest();
  t.comment(JSON.stringify({ warm, end }));
  t.ok(end.descriptors <= warm.descriptors, 'no descriptor leaks');
  t.ok(end.threads <= warm.threads, 'no thread leaks');
  t.equal(end.mounts, warm.mounts, 'no mount leaks');
  t.equal(end.loops, warm.loops, 'no loop device leaks');
  t.ok(end.residentBytes < warm.residentBytes * 1.1 + 16 * megabytes, 'memory does not grow');

  const counts = crowd.countDone();
  t.comment(JSON.stringify(Object.fromEntries(counts)));
  for (const done of ['io', 'snapshot', 'rollback', 'clone', 'image', 'reattach']) {
    t.ok((counts.get(done) ?? 0) > 0, `${done} was done`);
  }
  for (const user of crowd.users) t.ok(await user.attach());
  const { unwell } = await daemon.client.status();
  t.same(unwell, []);
  for (const mount of crowd.mounts) await mount.check(t);
  t.same(await daemon.stop(), { status: 0, signal: null });
});
