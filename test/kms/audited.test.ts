// Every key operation, allowed or refused, leaves exactly one record, and none a secret.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { listAudit } from '../../dist/audit/audit.js';
import { contextOf, dayMs, me, testKms } from '../support/kms.js';

t.test('one operation, one record', async (t) => {
  const kms = await testKms(t);
  const { service } = kms;
  const { id } = await service.createKey({ alias: 'a' }, me);
  const resource = `a (${id})`;
  let seen = 1;
  const leaves = async (
    work: () => Promise<unknown>,
    action: string,
    result: string,
    detail: string | RegExp = '',
    named = resource,
  ): Promise<void> => {
    await work().catch(() => undefined);
    const fresh = listAudit(kms.store, { sinceSequence: seen });
    t.match(fresh, [{ principal: 'tester', action, result, detail, resource: named }], action);
    t.equal(fresh.length, 1, `${action}: one record`);
    seen += fresh.length;
  };
  const context = contextOf('l');
  let wrapped: Buffer = Buffer.alloc(0);
  const use = (): Promise<void> =>
    service.withKey(id, me, async (session) => {
      const made = await session.createDataKey(context);
      wrapped = made.wrapped;
      made.dataKey.release();
    });
  const unwrap = (with_: Buffer) => (): Promise<void> =>
    service.withKey(id, me, async (s) => (await s.unwrapDataKey(with_, context)).release());

  await leaves(
    () => service.createKey({ alias: 'a' }, me),
    'createKey',
    'refused',
    'KEY_EXISTS',
    'a',
  );
  await leaves(
    () => service.createKey({ alias: '\n!' }, me),
    'createKey',
    'refused',
    'INVALID_NAME',
    '\\u{a}!',
  );
  await leaves(use, 'createDataKey', 'allowed', 'layer l');
  await leaves(unwrap(wrapped), 'decryptDatakey', 'allowed', 'layer l');
  await leaves(unwrap(Buffer.alloc(9)), 'decryptDatakey', 'refused', 'INTEGRITY_FAILED');
  await leaves(() => service.enableKey('a', me), 'enableKey', 'allowed', 'no change');
  await leaves(() => service.disableKey('a', me), 'disableKey', 'allowed');
  await leaves(use, 'useKey', 'refused', 'KEY_DISABLED');
  await leaves(() => service.enableKey(id, me), 'enableKey', 'allowed');
  await leaves(
    () => service.enableKey('none', me),
    'enableKey',
    'refused',
    'KEY_NOT_FOUND',
    'none',
  );
  await leaves(() => service.describeKey('a', 'words', me), 'updateKeyDescription', 'allowed');
  await leaves(
    () => service.cancelDeletion('a', me),
    'cancelKeyDeletion',
    'refused',
    'KEY_NOT_PENDING_DELETION',
  );
  await leaves(
    () => service.scheduleDeletion('a', 6, me),
    'scheduleKeyDeletion',
    'refused',
    'INVALID_PENDING_DAYS',
  );
  await leaves(
    () => service.scheduleDeletion('a', 7, me),
    'scheduleKeyDeletion',
    'allowed',
    'in 7 days',
  );
  await leaves(
    () => service.renameKey('a', 'b', me),
    'updateKeyAlias',
    'refused',
    'KEY_PENDING_DELETION',
  );
  await leaves(() => service.cancelDeletion('a', me), 'cancelKeyDeletion', 'allowed');
  await leaves(() => service.renameKey('a', 'b', me), 'updateKeyAlias', 'allowed', 'to b');
  await leaves(() => service.defaultKey('evs', me), 'createKey', 'allowed', '', 'evs/default');
  await leaves(
    () => service.disableKey('evs/default', me),
    'disableKey',
    'refused',
    'DEFAULT_KEY_PROTECTED',
    'evs/default',
  );

  await service.scheduleDeletion(id, 7, me);
  kms.clock.pass(7 * dayMs);
  await service.tick();
  t.match(listAudit(kms.store, { limit: 2 }), [
    { action: 'scheduleKeyDeletion' },
    { action: 'deleteKey', principal: 'system', result: 'allowed', resource: `b (${id})` },
  ]);
});

t.test('asking for a default key that is there leaves no record', async (t) => {
  const kms = await testKms(t);
  await kms.service.defaultKey('evs', me);
  await kms.service.defaultKey('evs', me);
  t.equal(listAudit(kms.store).length, 1);
});

t.test('the root key is not in the database', async (t) => {
  const kms = await testKms(t);
  await kms.service.createKey({ alias: 'a' }, me);
  const root = readFileSync(kms.rootKeyPath);
  for (const suffix of ['', '-wal', '-shm']) {
    t.notOk(readFileSync(kms.databasePath + suffix).includes(root), `keys.db${suffix}`);
  }
});
