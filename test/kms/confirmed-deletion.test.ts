// A deletion is confirmed last: what cannot be done at all is refused for that. A refused
// confirmation leaves the key as it is, and a record; no use of the key comes in between.
import t from 'tap';
import { listAudit } from '../../dist/audit/audit.js';
import { Fault } from '../../dist/fault.js';
import type { MasterKey } from '../../dist/kms/key-service.js';
import { me, testKms } from '../support/kms.js';

t.test('a deletion that is not confirmed', async (t) => {
  const { service, store } = await testKms(t);
  const { id } = await service.createKey({ alias: 'a' }, me);
  const asked: string[] = [];
  const refuse = (key: MasterKey): never => {
    asked.push(key.alias);
    throw new Fault('CONFIRMATION_REQUIRED', 'not confirmed');
  };
  for (const days of [0, 6, 1097]) {
    await t.rejects(service.scheduleDeletion('a', days, me, refuse), {
      code: 'INVALID_PENDING_DAYS',
    });
  }
  await service.defaultKey('evs', me);
  await t.rejects(service.scheduleDeletion('evs/default', 7, me, refuse), {
    code: 'DEFAULT_KEY_PROTECTED',
  });
  t.same(asked, []);

  await t.rejects(service.scheduleDeletion('a', 7, me, refuse), { code: 'CONFIRMATION_REQUIRED' });
  t.same(asked, ['a']);
  t.equal(service.findKey('a').state, 'enabled');
  t.match(listAudit(store, { limit: 1 }), [
    {
      action: 'scheduleKeyDeletion',
      result: 'refused',
      resource: `a (${id})`,
      detail: 'CONFIRMATION_REQUIRED',
    },
  ]);

  let isUsed = false;
  const use = service.withKey(id, me, async () => {
    isUsed = true;
    await new Promise((resolve) => setTimeout(resolve, 50));
    isUsed = false;
  });
  await service.scheduleDeletion('a', 7, me, () => t.notOk(isUsed, 'no use of the key runs'));
  await use;
  t.equal(service.findKey('a').state, 'pending-deletion');
});
