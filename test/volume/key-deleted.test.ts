// EVS-13: when the day of deletion is reached the data is gone for ever; the disks say so, attached
// ones too, and what is left of them can be removed.
import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRoot, tempDirectory } from '../support/temp.js';
import { caller, mib, newState, openState, outcomeOf, startState } from '../support/state.js';

t.test('the key of a disk is deleted', async (t) => {
  const startMs = Date.now();
  let nowMs = startMs;
  const clock = { nowMs: () => nowMs, bootTimeMs: () => nowMs - startMs + 1000 };
  const { disks, keys } = await newState(t, clock);
  const { volumes } = disks;
  await keys.createKey({ alias: 'app' }, caller);
  const onKeyLoss = 'until-detach';
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app', onKeyLoss }, caller);
  await volumes.create({ name: 'idle', sizeBytes: mib, key: 'app' }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r');
  await keys.scheduleDeletion('app', 7, caller);
  const block = Buffer.alloc(4096);
  t.equal((await file.read(block, 0, 4096, 0)).bytesRead, 4096, 'until-detach goes on');
  for (let hour = 0; hour < 7 * 24 + 1; hour++) {
    nowMs += 3600_000;
    await keys.tick();
  }
  await t.rejects(file.read(block, 0, 4096, 0), 'until the key is gone');
  await file.close();
  const { record } = await volumes.show('db');
  t.equal(record.state, 'error');
  t.match(record.stateReason, /^master key app was deleted on \d{4}-\d\d-\d\d; the data cannot/);
  t.equal(await outcomeOf(volumes.attach('idle', {}, caller)), 'KEY_DELETED');
  t.equal(await outcomeOf(volumes.clone('idle', 'copy', caller)), 'KEY_DELETED');
  await volumes.detach('db', {}, caller);
  t.equal((await volumes.show('db')).record.state, 'error', 'detached it is still lost');
  t.equal(await outcomeOf(volumes.delete('db', caller)), 'done');
  t.equal(await outcomeOf(volumes.delete('idle', caller)), 'done');
});

t.test('the records are told by the next start if they could not be at once', async (t) => {
  const startMs = Date.now();
  let nowMs = startMs;
  const clock = { nowMs: () => nowMs, bootTimeMs: () => nowMs - startMs + 1000 };
  const directory = tempDirectory(t);
  const first = await startState(directory, clock);
  t.teardown(() => first.stop());
  await first.keys.createKey({ alias: 'app' }, caller);
  await first.disks.volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  await first.keys.scheduleDeletion('app', 7, caller);
  nowMs += 7 * 24 * 3600_000;
  await first.keys.tick();
  await first.store.commit([{ sql: `UPDATE disks SET state = 'available'`, params: [] }]);
  await first.stop();
  const second = await openState(t, directory, clock);
  t.match(second.recovery, [/^key app .* was deleted on/]);
  const { record } = await second.disks.volumes.show('db');
  t.equal(record.state, 'error');
  t.match(record.stateReason, /was deleted on/);
});

const skip = isRoot ? false : 'mounting needs root';

t.test('a mounted one comes down, and who waits for it gets an error', { skip }, async (t) => {
  const startMs = Date.now();
  let nowMs = startMs;
  const clock = { nowMs: () => nowMs, bootTimeMs: () => nowMs - startMs + 1000 };
  const { disks, keys, stateDir } = await newState(t, clock);
  const directory = join(stateDir, '..', 'mnt');
  await mkdir(directory);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: 64 * mib, key: 'app' }, caller);
  await disks.volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  t.match((await keys.scheduleDeletion('app', 7, caller)).disks, [{ outcome: 'closed' }]);
  const isMounted = async (): Promise<boolean> =>
    (await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${directory} `);
  t.ok(await isMounted(), 'until then the deletion can be cancelled');
  const writer = spawn('dd', ['if=/dev/zero', `of=${join(directory, 'new')}`, 'count=1']);
  const ended = once(writer, 'exit');
  for (let hour = 0; hour < 7 * 24 + 1; hour++) {
    nowMs += 3600_000;
    await keys.tick();
  }
  const [status] = (await ended) as [number];
  t.not(status, 0);
  t.notOk(await isMounted());
  t.match((await disks.volumes.show('db')).record, { state: 'error' });
});
