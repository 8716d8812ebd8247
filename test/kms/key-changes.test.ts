// Disks hear of their key's state in one order only: shut before the answer, open after the
// record. What cannot be recorded must shut them all the same.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { allKeys } from '../../dist/kms/key-records.js';
import { contextOf, dayMs, me, testKms } from '../support/kms.js';
import { eventually } from '../support/wait.js';
import type { DiskChange, KeyListener, MasterKey } from '../../dist/kms/key-service.js';

const closed: DiskChange = { disk: 'db', kind: 'volume', outcome: 'closed', tookMs: 3 };

function recorder(): { listener: KeyListener; heard: string[] } {
  const heard: string[] = [];
  const note =
    (what: string) =>
    async (key: MasterKey): Promise<DiskChange[]> => {
      heard.push(`${what} ${key.alias} ${key.state}`);
      return [closed];
    };
  const listener = {
    keyLost: note('lost'),
    keyUsable: note('usable'),
    keyDeleted: async (key: MasterKey) => {
      await note('deleted')(key);
    },
  };
  return { listener, heard };
}

t.test('the listener hears of every change that concerns disks, and of no other', async (t) => {
  const { service, clock } = await testKms(t);
  const { listener, heard } = recorder();
  service.setListener(listener);
  await service.createKey({ alias: 'a' }, me);
  t.same((await service.disableKey('a', me)).disks, [closed]);
  await service.disableKey('a', me);
  t.same((await service.enableKey('a', me)).disks, [closed]);
  await service.scheduleDeletion('a', 7, me);
  t.same((await service.cancelDeletion('a', me)).disks, []);
  t.same((await service.scheduleDeletion('a', 7, me)).disks, []);
  clock.pass(7 * dayMs);
  await service.tick();
  t.same(heard, [
    'lost a disabled',
    'usable a enabled',
    'lost a pending-deletion',
    'deleted a pending-deletion',
  ]);
});

t.test('the session of keyUsable unwraps, and ends with it', async (t) => {
  const { service } = await testKms(t);
  const { id } = await service.createKey({ alias: 'a' }, me);
  const context = contextOf('layer', 1, id);
  let unwrapAgain: (() => Promise<unknown>) | undefined;
  const wrapped = await service.withKey(id, me, async (session) => {
    const made = await session.createDataKey(context);
    made.dataKey.release();
    return made.wrapped;
  });
  service.setListener({
    ...recorder().listener,
    keyUsable: async (_, session) => {
      unwrapAgain = () => session.unwrapDataKey(wrapped, context);
      const dataKey = await session.unwrapDataKey(wrapped, context);
      t.equal(dataKey.lengthBytes, 64);
      dataKey.release();
      return [];
    },
  });
  await service.disableKey('a', me);
  await service.enableKey('a', me);
  await t.rejects(async () => unwrapAgain?.(), { code: 'INTERNAL' });
});

t.test('a listener that fails does not undo the state, and the caller hears of it', async (t) => {
  const { service } = await testKms(t);
  const { id } = await service.createKey({ alias: 'a' }, me);
  const fails = async (): Promise<never> => {
    throw new Error('stuck');
  };
  service.setListener({ keyLost: fails, keyUsable: fails, keyDeleted: fails });
  await t.rejects(service.disableKey('a', me), { code: 'INTERNAL', message: /not all disks/ });
  t.throws(() => service.assertUsable(id), { code: 'KEY_DISABLED' });
  await t.rejects(service.enableKey('a', me), { code: 'INTERNAL', message: /not all disks/ });
  service.assertUsable(id);
});

t.test('a loss is recorded once all is at rest, and before the listener has ended', async (t) => {
  const { service, store } = await testKms(t);
  await service.createKey({ alias: 'a' }, me);
  const recorded = (): string | undefined => allKeys(store)[0]?.state;
  service.setListener({
    ...recorder().listener,
    keyLost: async (_key, _options, atRest) => {
      await sleep(50);
      t.equal(recorded(), 'enabled');
      atRest();
      await eventually(() => recorded() === 'disabled');
      return [];
    },
  });
  t.equal((await service.disableKey('a', me)).changed, true);
});

t.test('the key counts as lost before the listener has ended', async (t) => {
  const { service } = await testKms(t);
  const { id } = await service.createKey({ alias: 'a' }, me);
  service.setListener({
    ...recorder().listener,
    keyLost: async () => {
      t.throws(() => service.assertUsable(id), { code: 'KEY_DISABLED' });
      return [];
    },
  });
  await service.disableKey('a', me);
});

for (const days of [6, 1097, 0, -7, 7.5, Number.NaN]) {
  t.test(`deletion in ${days} days is refused`, async (t) => {
    const { service } = await testKms(t);
    await service.createKey({ alias: 'a' }, me);
    await t.rejects(service.scheduleDeletion('a', days, me), { code: 'INVALID_PENDING_DAYS' });
    t.equal(service.findKey('a').state, 'enabled');
  });
}

for (const days of [7, 1096]) {
  t.test(`deletion in ${days} days is scheduled`, async (t) => {
    const { service, clock } = await testKms(t);
    await service.createKey({ alias: 'a' }, me);
    await service.scheduleDeletion('a', days, me);
    t.match(service.findKey('a'), {
      deletionLeftMs: days * dayMs,
      deletionAtMs: clock.nowMs() + days * dayMs,
    });
  });
}
