// Deleting a key deletes data for ever: it must never come early, whatever the clock does, and
// when it comes nothing may be left.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { contextOf, dayMs, hourMs, me, testKms } from '../support/kms.js';
import type { TestKms } from '../support/kms.js';

async function scheduled(kms: TestKms, days: number): Promise<string> {
  const { id } = await kms.service.createKey({ alias: 'doomed' }, me);
  await kms.service.scheduleDeletion(id, days, me);
  return id;
}

const left = (kms: TestKms): number | undefined => kms.service.findKey('doomed').deletionLeftMs;

t.test('a key ends when its window has passed, and not a moment before', async (t) => {
  const kms = await testKms(t);
  const id = await scheduled(kms, 7);
  kms.clock.pass(7 * dayMs - 1);
  await kms.service.tick();
  t.equal(left(kms), 1);
  kms.clock.pass(1);
  t.equal(left(kms), 0);
  await kms.service.tick();
  t.throws(() => kms.service.findKey('doomed'), { code: 'KEY_NOT_FOUND' });
  t.throws(() => kms.service.findKey(id), { code: 'KEY_NOT_FOUND' });
  t.throws(() => kms.service.assertUsable(id), {
    code: 'KEY_DELETED',
    message: `key doomed (${id}) was deleted on 2030-01-08, its data is gone for ever`,
  });
  await t.rejects(
    kms.service.withKey(id, me, async () => undefined),
    { code: 'KEY_DELETED' },
  );
  await kms.service.createKey({ alias: 'doomed' }, me);
});

t.test('the wall clock shortens nothing, forward or back', async (t) => {
  const kms = await testKms(t);
  await scheduled(kms, 7);
  for (const leap of [40 * dayMs, -80 * dayMs, 40 * dayMs]) {
    kms.clock.wallMs += leap;
    await kms.service.tick();
    t.equal(left(kms), 7 * dayMs);
    await kms.restart();
    await kms.service.tick();
    t.equal(left(kms), 7 * dayMs);
  }
});

t.test('time counts over restarts, time between them does not', async (t) => {
  const kms = await testKms(t);
  await scheduled(kms, 7);
  kms.clock.pass(2 * dayMs);
  await kms.stop();
  kms.clock.pass(300 * dayMs);
  await kms.start();
  t.equal(left(kms), 5 * dayMs, 'stopping has counted what had passed');
  await kms.stop();
  kms.clock.bootMs = 10; // the machine was started again
  await kms.start();
  kms.clock.pass(5 * dayMs - 1);
  await kms.service.tick();
  t.equal(left(kms), 1);
  kms.clock.pass(1);
  await kms.service.tick();
  t.throws(() => kms.service.findKey('doomed'), { code: 'KEY_NOT_FOUND' });
});

t.test('time before the scheduling does not count', async (t) => {
  const kms = await testKms(t);
  kms.clock.pass(100 * dayMs);
  await scheduled(kms, 7);
  await kms.service.tick();
  t.equal(left(kms), 7 * dayMs);
  kms.clock.pass(6 * dayMs);
  await kms.service.cancelDeletion('doomed', me);
  kms.clock.pass(6 * dayMs);
  await kms.service.scheduleDeletion('doomed', 7, me);
  await kms.service.tick();
  t.equal(left(kms), 7 * dayMs, 'a cancelled window leaves nothing behind');
});

t.test('ticks at the same time count once', async (t) => {
  const kms = await testKms(t);
  await scheduled(kms, 7);
  kms.clock.pass(hourMs);
  await Promise.all([kms.service.tick(), kms.service.tick(), kms.service.tick()]);
  t.equal(left(kms), 7 * dayMs - hourMs);
});

t.test('a tick while a deletion is being scheduled counts nothing for it', async (t) => {
  const kms = await testKms(t);
  kms.clock.pass(100 * dayMs);
  await kms.service.createKey({ alias: 'doomed' }, me);
  await Promise.all([
    ...Array.from({ length: 5 }, () => kms.service.tick()),
    kms.service.scheduleDeletion('doomed', 7, me),
    ...Array.from({ length: 5 }, () => kms.service.tick()),
  ]);
  t.equal(left(kms), 7 * dayMs);
});

t.test('a cancelled key does not end on its day', async (t) => {
  const kms = await testKms(t);
  await scheduled(kms, 7);
  kms.clock.pass(7 * dayMs);
  await Promise.all([kms.service.cancelDeletion('doomed', me), kms.service.tick()]);
  t.equal(kms.service.findKey('doomed').state, 'disabled');
});

t.test('nothing of a deleted key is left in the files', async (t) => {
  const kms = await testKms(t);
  // Among others on its page: where a page empties, its bytes would go with it anyhow.
  for (const n of [1, 2, 3]) await kms.service.createKey({ alias: `before-${n}` }, me);
  const id = await scheduled(kms, 7);
  for (const n of [1, 2, 3]) await kms.service.createKey({ alias: `after-${n}` }, me);
  await kms.service.cancelDeletion(id, me);
  await kms.service.enableKey(id, me);
  for (let n = 0; n < 10; n++) {
    await kms.service.withKey(id, me, async (session) => {
      const { dataKey } = await session.createDataKey(contextOf(`layer-${n}`));
      dataKey.release();
    });
  }
  await kms.service.scheduleDeletion(id, 7, me);
  const sql = 'SELECT wrapped FROM key_versions WHERE key_id = ?';
  const wrapped = kms.store.get<{ wrapped: Buffer }>(sql, id)?.wrapped ?? Buffer.alloc(0);
  // The ciphertext and tag alone, for the prefix is the same in every key.
  const needle = wrapped.subarray(-48);
  const holders = (): string[] =>
    readdirSync(kms.directory).filter((name) =>
      readFileSync(join(kms.directory, name)).includes(needle),
    );
  t.ok(holders().length > 0, 'it is there before');
  kms.clock.pass(7 * dayMs);
  await kms.service.tick();
  t.same(holders(), []);
});

t.test('rows that a crash left in the log are gone after the first tick', async (t) => {
  const kms = await testKms(t);
  await kms.service.createKey({ alias: 'a' }, me);
  await kms.service.tick();
  t.equal(readFileSync(`${kms.databasePath}-wal`).length, 0);
});
