/**
 * What keyvol promises a security officer: a reader gets its last success at most a second after
 * `key disable` answers, whatever was unflushed; and what it promises the operator: after
 * `key enable` the same open file goes on, and what was fsynced is there.
 */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import t from 'tap';
import type { KeyChangeView } from '../../dist/api/types.js';
import { ReportingReader } from '../support/reporting-reader.js';
import { sleep, startWorld } from '../support/world.js';

const mib = 2 ** 20;

t.test('a disabled key ends reads within a second and an enabled one resumes them', async (t) => {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'v', '--size', '256M', '--key', 'app');
  await world.keyvol('volume', 'attach', 'v');

  const file = await open(world.volumePath('v'), 'r+');
  t.teardown(() => file.close());
  const fsynced = randomBytes(mib);
  await file.write(fsynced, 0, mib, 0);
  await file.sync();
  const unflushed = randomBytes(64 * mib);
  await file.write(unflushed, 0, unflushed.length, mib);

  const reader = new ReportingReader(t, world.volumePath('v'));
  await sleep(300);
  t.ok((await reader.report()).lastSuccessMs > 0, 'the reader reads');

  const reply = await world.json<KeyChangeView>('key', 'disable', 'app');
  const answeredMs = Date.now();
  t.match(reply.disks, [{ disk: 'v', outcome: 'closed' }], 'the reply names the disk: closed');
  await sleep(1500);
  const gated = await reader.report();
  t.ok(gated.lastSuccessMs <= answeredMs + 1000, 'the last success is at most 1 s after the reply');
  t.ok(gated.failuresSince > 0, 'reads fail now');
  await t.rejects(file.write(fsynced, 0, 4096, 0), { code: 'EIO' }, 'writes fail too');
  await t.rejects(file.sync(), { code: 'EIO' }, 'and flushes');

  await world.keyvol('key', 'enable', 'app');
  const after = Buffer.alloc(mib + unflushed.length);
  await file.read(after, 0, after.length, 0);
  t.ok(after.subarray(0, mib).equals(fsynced), 'the same open file reads what was fsynced');
  t.ok(after.subarray(mib).equals(unflushed), 'and what was flushed by the cut-off');
  await sleep(300);
  t.equal((await reader.report()).failuresSince, 0, 'the reader goes on, its file never closed');
  await file.write(fsynced, 0, 4096, 0);
  await file.sync();
});

t.test('until-detach keeps an attached disk going and refuses the next attach', async (t) => {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  const create = ['volume', 'create', 'v', '--size', '16M', '--key', 'app'];
  await world.keyvol(...create, '--on-key-loss', 'until-detach');
  await world.keyvol('volume', 'attach', 'v');
  const file = await open(world.volumePath('v'), 'r+');
  await file.write(Buffer.from('kept'), 0, 4, 0);

  const reply = await world.json<KeyChangeView>('key', 'disable', 'app');
  t.match(reply.disks, [{ disk: 'v', outcome: 'kept-until-detach' }]);
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
  t.equal(buffer.toString(), 'kept', 'the attached disk goes on');
  await file.close();
  await world.keyvol('volume', 'detach', 'v');
  const refused = await world.try('volume', 'attach', 'v');
  t.equal(refused.status, 4, 'attaching again is refused by the key state');
  t.match(refused.stderr, /app.*disabled/, 'naming the key and its state');
  t.match(refused.stderr, /hint: .*key enable app/, 'and the cure');
});
