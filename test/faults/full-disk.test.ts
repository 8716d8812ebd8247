/**
 * When the filesystem of the containers is full, writes of attached disks wait instead of failing:
 * an error would end up in a journal. They go on by themselves when there is space; until then
 * reads go on, a snapshot is refused, and a lost key, a detach and a stop win over the wait.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test as Tap } from 'tap';
import type { DiskHealth } from '../../dist/volume/health.js';
import { listAudit } from '../../dist/audit/audit.js';
import { readFileAt } from '../support/fuse.js';
import { caller, mib, openState, outcomeOf, type State } from '../support/state.js';
import { fillFilesystem, isRoot, smallFilesystem } from '../support/temp.js';
import { must, sleep } from '../support/world.js';

const skip = isRoot ? false : 'needs a filesystem of its own';
const sizeBytes = 24 * mib;
/** Not a multiple of anything, so that pieces, groups and sectors are cut in their middle. */
const stepBytes = 1_234_567;
const steps = Math.floor(sizeBytes / stepBytes);

/** Writes each step once, says so, and with which errno it failed. */
const program = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for n in range(${String(steps)}):
    data = bytes((i * 7 + n) % 255 + 1 for i in range(256)) * ${String(Math.ceil(stepBytes / 256))}
    try:
        assert os.pwrite(fd, data[:${String(stepBytes)}], n * ${String(stepBytes)}) == ${String(stepBytes)}
        print('wrote', n, flush=True)
    except OSError as error:
        print('failed', n, error.errno, flush=True)
        break
print('end', flush=True)
`;

function stepData(n: number): Buffer {
  const block = Buffer.from(Array.from({ length: 256 }, (_, i) => ((i * 7 + n) % 255) + 1));
  return Buffer.alloc(stepBytes, block);
}

class Writer {
  readonly #child;
  readonly #closed: Promise<unknown>;
  output = '';

  constructor(path: string) {
    this.#child = spawn('python3', ['-c', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#closed = once(this.#child, 'close');
  }

  get written(): number {
    return this.output.match(/wrote/g)?.length ?? 0;
  }

  async end(): Promise<string> {
    await this.#closed;
    return this.output;
  }
}

interface Full {
  readonly state: State;
  readonly path: string;
  readonly filler: string;
  readonly writer: Writer;
}

/** A disk whose writer waits for space. */
async function fullDisk(t: Tap): Promise<Full> {
  const directory = smallFilesystem(t, '40m');
  const state = await openState(t, directory);
  await state.keys.createKey({ alias: 'app' }, caller);
  await state.disks.volumes.create({ name: 'db', sizeBytes, key: 'app' }, caller);
  await state.disks.volumes.create({ name: 'other', sizeBytes: mib }, caller);
  const { attachment } = await state.disks.volumes.attach('db', {}, caller);
  await state.disks.volumes.attach('other', {}, caller);
  const path = attachment?.path ?? '';
  const filler = fillFilesystem(directory, 8 * mib);
  const writer = new Writer(path);
  await until(async () => (await healthOf(state)).state === 'paused');
  return { state, path, filler, writer };
}

async function healthOf(state: State): Promise<DiskHealth> {
  return (await state.disks.volumes.show('db')).health;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20);
}

/** Every step that was acknowledged is there. */
async function assertWritten(t: Tap, path: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const seen = await readFileAt(path, n * stepBytes, stepBytes);
    if (!seen.equals(stepData(n))) t.fail(`step ${String(n)} differs`);
  }
}

t.test('writes wait for space and go on with what they held', { skip }, async (t) => {
  const { state, path, filler, writer } = await fullDisk(t);
  t.ok(writer.written > 0 && writer.written < steps, 'some steps had room');
  await sleep(1200);
  const waitedAt = writer.written;
  await assertWritten(t, path, waitedAt);
  t.equal((await readFileAt(join(path, '../other'), 0, 4096)).length, 4096, 'others are read');
  t.match(await healthOf(state), {
    state: 'paused',
    reason: /filesystem of .*layers is full: its writes wait since 20/,
    cure: /free some space/,
  });
  for (const refused of [
    state.disks.snapshots.create('db@one', caller),
    state.disks.images.create({ name: 'base', volume: 'db' }, caller),
  ]) {
    await t.rejects<unknown>(refused, {
      code: 'NO_SPACE',
      message: /db is paused: the filesystem of/,
    });
  }
  rmSync(filler);
  t.notMatch(await writer.end(), /failed/);
  t.equal(writer.written, steps);
  await assertWritten(t, path, steps);
  t.same(await healthOf(state), { state: 'ok' });
  t.equal(await outcomeOf(state.disks.snapshots.create('db@one', caller)), 'done');
  await sleep(1100);
  const told = state.warnings.filter((line) => line.startsWith('volume db'));
  t.match(told, [/is paused: .* is full/, /goes on: there is space again/], 'told once each');
});

t.test('a lost key wins over the wait, and is recorded', { skip }, async (t) => {
  const { state, path, filler, writer } = await fullDisk(t);
  const change = await state.keys.disableKey('app', caller);
  t.match(change, { unrecorded: undefined, disks: [{ disk: 'db', outcome: 'closed' }] });
  t.ok(change.tookMs < 1500, 'at once');
  t.match(await writer.end(), /failed \d+ 5\nend/, 'the write that waited has failed');
  const records = listAudit(state.audit, { limit: 5 });
  t.match(records.find(({ action }) => action === 'disableKey')?.result, 'allowed');
  await state.keys.enableKey('app', caller);
  await assertWritten(t, path, writer.written);
  const again = new Writer(path);
  await until(async () => (await healthOf(state)).state === 'paused');
  rmSync(filler);
  t.notMatch(await again.end(), /failed/);
  await assertWritten(t, path, steps);
});

for (const [what, end] of [
  [
    'a detach by force',
    ({ state }: Full) => state.disks.volumes.detach('db', { force: true }, caller),
  ],
  ['a stop', ({ state }: Full) => state.disks.shutdown()],
] as const) {
  t.test(`${what} wins over the wait`, { skip }, async (t) => {
    const full = await fullDisk(t);
    await end(full);
    t.match(await full.writer.end(), /failed \d+ 5\nend/);
  });
}

t.test('a stop and a snapshot do not wait for a mounted disk', { skip }, async (t) => {
  const directory = smallFilesystem(t, '300m');
  const state = await openState(t, directory);
  const { volumes, snapshots } = state.disks;
  const mountPoint = join(directory, 'mnt');
  await mkdir(mountPoint);
  await volumes.create({ name: 'db', sizeBytes: 160 * mib }, caller);
  await volumes.mount('db', { directory: mountPoint, mkfs: 'ext4' }, caller);
  const synced = join(mountPoint, 'synced');
  await must('dd', 'if=/dev/urandom', `of=${synced}`, 'bs=1M', 'count=4', 'conv=fsync');
  const sum = await must('sha256sum', synced);
  fillFilesystem(directory, 8 * mib);
  // Dirty pages only: it is the freezing, and the unmounting, that must write them.
  await must('dd', 'if=/dev/zero', `of=${join(mountPoint, 'dirty')}`, 'bs=1M', 'count=48');
  t.equal(await outcomeOf(snapshots.create('db@one', caller)), 'NO_SPACE');
  await state.stop();
  t.equal(await outcomeOf(must('findmnt', mountPoint)).then((code) => code !== 'done'), true);
  rmSync(join(directory, 'filler'));
  const next = await openState(t, directory);
  t.match(next.recovery, [/mounted volume db at .* again/]);
  t.equal(await must('sha256sum', synced), sum, 'what was synced is there');
  t.match(await must('findmnt', '-no', 'OPTIONS', mountPoint), /^rw,/);
});

for (const filesystem of ['ext4', 'xfs']) {
  t.test(`a mounted ${filesystem} outlives a full host`, { skip, timeout: 120_000 }, async (t) => {
    const directory = smallFilesystem(t, '500m');
    const state = await openState(t, directory);
    const { volumes, snapshots } = state.disks;
    const mountPoint = join(directory, 'mnt');
    await mkdir(mountPoint);
    await volumes.create({ name: 'db', sizeBytes: 320 * mib }, caller);
    await volumes.mount('db', { directory: mountPoint, mkfs: filesystem }, caller);
    const filler = fillFilesystem(directory, 16 * mib);
    const file = join(mountPoint, 'file');
    const writing = must('dd', 'if=/dev/urandom', `of=${file}`, 'bs=1M', 'count=64', 'conv=fsync');
    await until(async () => (await healthOf(state)).state === 'paused');
    t.equal(await outcomeOf(snapshots.create('db@one', caller)), 'NO_SPACE');
    await sleep(1500);
    rmSync(filler);
    await writing;
    t.match(await must('findmnt', '-no', 'OPTIONS', mountPoint), /^rw,/);
    const sum = await must('sha256sum', file);
    await must('touch', join(mountPoint, 'more'));
    await volumes.unmount('db', caller);
    await volumes.mount('db', { directory: mountPoint }, caller);
    t.equal(await must('sha256sum', file), sum);
    t.equal(await outcomeOf(snapshots.create('db@one', caller)), 'done');
  });
}

t.test('an import fails instead, and leaves nothing', { skip }, async (t) => {
  const { state, filler, writer } = await fullDisk(t);
  const work = state.disks.volumes.create({ name: 'new', file: process.execPath }, caller);
  t.equal(await outcomeOf(work), 'NO_SPACE');
  t.equal(await outcomeOf(state.disks.volumes.show('new')), 'VOLUME_NOT_FOUND');
  rmSync(filler);
  await writer.end();
});
