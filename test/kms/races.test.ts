// A data key that is unwrapped after `disable` has answered would defeat the whole system.
import t from 'tap';
import { KeyLocks } from '../../dist/kms/key-lock.js';
import { contextOf, me, testKms } from '../support/kms.js';

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

t.test('no session lives when the listener runs, nor after disable has answered', async (t) => {
  const { service } = await testKms(t);
  const { id } = await service.createKey({ alias: 'a' }, me);
  let inUse = 0;
  let disabled = false;
  let bad = 0;
  const exclusive = async (): Promise<never[]> => {
    bad += inUse;
    await pause(2);
    bad += inUse;
    return [];
  };
  service.setListener({
    keyLost: exclusive,
    keyUsable: exclusive,
    keyDeleted: async () => undefined,
  });
  const use = (n: number): Promise<unknown> =>
    service.withKey(id, me, async (session) => {
      inUse++;
      if (disabled) bad++;
      try {
        const { dataKey } = await session.createDataKey(contextOf(`layer-${n}`));
        await pause(n % 3);
        dataKey.release();
      } finally {
        inUse--;
      }
    });

  let refused = 0;
  for (let round = 0; round < 15; round++) {
    const users = Array.from({ length: 8 }, async (_, n) => {
      await pause(n % 4);
      await use(round * 8 + n).catch((error: unknown) => {
        t.match(error, { code: 'KEY_DISABLED' });
        refused++;
      });
    });
    await pause(round % 3);
    await service.disableKey(id, me);
    disabled = true;
    await t.rejects(use(round), { code: 'KEY_DISABLED' });
    await Promise.all(users);
    disabled = false;
    await service.enableKey(id, me);
  }
  t.equal(bad, 0);
  t.ok(refused > 0, `${refused} uses came too late`);
});

t.test('changes of one key at the same time happen one after the other', async (t) => {
  const { service } = await testKms(t);
  const { id } = await service.createKey({ alias: 'a' }, me);
  let running = 0;
  const alone = async (): Promise<never[]> => {
    t.equal(++running, 1);
    await pause(1);
    running--;
    return [];
  };
  service.setListener({ keyLost: alone, keyUsable: alone, keyDeleted: async () => undefined });
  const both = Array.from({ length: 10 }, (_, n) =>
    n % 2 === 0 ? service.disableKey(id, me) : service.enableKey(id, me),
  );
  t.same(new Set((await Promise.all(both)).map(({ changed }) => changed)), new Set([true]));
  t.equal(service.findKey(id).state, 'enabled');
});

t.test('a waiting change goes before uses that come later', async (t) => {
  const locks = new KeyLocks();
  const order: string[] = [];
  const note = (what: string) => async (): Promise<void> => {
    await pause(1);
    order.push(what);
  };
  await Promise.all([
    locks.shared('k', note('first use')),
    locks.exclusive('k', note('change')),
    locks.shared('k', note('late use')),
    locks.exclusive('other', note('another key')),
  ]);
  t.ok(order.indexOf('change') < order.indexOf('late use'));
  t.ok(order.indexOf('first use') < order.indexOf('change'));
  t.ok(order.indexOf('another key') < order.indexOf('late use'));
});

t.test('uses share a lock, and a failure gives it back', async (t) => {
  const locks = new KeyLocks();
  let together = 0;
  let most = 0;
  const use = async (): Promise<void> => {
    most = Math.max(most, ++together);
    await pause(1);
    together--;
  };
  await Promise.all([locks.shared('k', use), locks.shared('k', use)]);
  t.equal(most, 2);
  const fails = async (): Promise<never> => {
    throw new Error('no');
  };
  await t.rejects(locks.exclusive('k', fails), { message: 'no' });
  await t.rejects(locks.shared('k', fails), { message: 'no' });
  await locks.exclusive('k', use);
});
