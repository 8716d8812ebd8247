// A name must lead to one key, now and later; what people mistype must lead them back.
import t from 'tap';
import { isUuid, nearestName } from '../../dist/kms/names.js';
import { dayMs, me, testKms } from '../support/kms.js';

const uuid = '0b7e4a52-1c5f-4b0e-9d3a-2f6c8e1d4a90';

t.test('what keeps the rule can be a name', async (t) => {
  const { service } = await testKms(t);
  for (const alias of ['a', 'A9:/_-', 'x'.repeat(255), 'default', 'evs/default2', 'a/b/c']) {
    await service.createKey({ alias }, me);
    t.equal(service.findKey(alias).alias, alias);
  }
});

t.test('what breaks the rule is refused, in a rename too', async (t) => {
  const { service } = await testKms(t);
  await service.createKey({ alias: 'good' }, me);
  const bad = [
    '',
    'x'.repeat(256),
    'with space',
    'dot.dot',
    'ünder',
    'a\n',
    'evs/default',
    'my/default',
    '/default',
    uuid,
    uuid.toUpperCase(),
  ];
  for (const alias of bad) {
    await t.rejects(service.createKey({ alias }, me), { code: 'INVALID_NAME' }, alias);
    await t.rejects(service.renameKey('good', alias, me), { code: 'INVALID_NAME' }, alias);
  }
  t.equal(service.listKeys().length, 1);
});

t.test('a name is given once, also when two ask at the same time', async (t) => {
  const { service } = await testKms(t);
  const asked = await Promise.allSettled([
    service.createKey({ alias: 'a' }, me),
    service.createKey({ alias: 'a' }, me),
  ]);
  t.same(asked.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  await service.createKey({ alias: 'b' }, me);
  await t.rejects(service.renameKey('b', 'a', me), { code: 'KEY_EXISTS' });
  t.equal((await service.renameKey('b', 'b', me)).alias, 'b');
});

t.test('a taken name that is pending deletion says until when', async (t) => {
  const { service, clock } = await testKms(t);
  await service.createKey({ alias: 'a' }, me);
  await service.scheduleDeletion('a', 10, me);
  clock.pass(3 * dayMs);
  await t.rejects(service.createKey({ alias: 'a' }, me), {
    code: 'KEY_EXISTS',
    message: 'there is a key a already, pending deletion on 2030-01-11 (7 days left)',
    hint: /cancel-deletion a/,
  });
});

t.test('keys are found by name, by id in any case, and missed with a hint', async (t) => {
  const { service } = await testKms(t);
  const { id } = await service.createKey({ alias: 'app-db' }, me);
  t.equal(service.findKey('app-db').id, id);
  t.equal(service.findKey(id).id, id);
  t.equal(service.findKey(id.toUpperCase()).id, id);
  t.throws(() => service.findKey('ap-db'), { code: 'KEY_NOT_FOUND', hint: /did you mean app-db/ });
  t.throws(() => service.findKey('nothing'), { code: 'KEY_NOT_FOUND', hint: /^keyvol key list/ });
  t.throws(() => service.findKey(uuid), { code: 'KEY_NOT_FOUND' });
});

t.test('the nearest name is near', async (t) => {
  const names = ['app-db', 'web', 'evs/default'];
  t.equal(nearestName('APP-DB', names), 'app-db');
  t.equal(nearestName('app-dbx', names), 'app-db');
  t.equal(nearestName('xyz', names), undefined);
  t.equal(isUuid(uuid), true);
  t.equal(isUuid(`${uuid}0`), false);
});

t.test('a description has at most 255 characters, on one line', async (t) => {
  const { service } = await testKms(t);
  await service.createKey({ alias: 'a', description: 'd'.repeat(255) }, me);
  t.equal((await service.describeKey('a', '', me)).description, '');
  for (const description of ['d'.repeat(256), 'two\nlines']) {
    const refused = { code: 'INVALID_ARGUMENT' };
    await t.rejects(service.createKey({ alias: 'b', description }, me), refused);
    await t.rejects(service.describeKey('a', description, me), refused);
  }
});

t.test('there may be 100 keys, default keys not counted', async (t) => {
  const { service } = await testKms(t);
  await service.defaultKey('evs', me);
  const asked = Array.from({ length: 101 }, (_, n) => service.createKey({ alias: `k${n}` }, me));
  const refused = (await Promise.allSettled(asked)).filter(({ status }) => status === 'rejected');
  t.match(refused, [{ reason: { code: 'LIMIT_REACHED' } }]);
  t.equal(service.listKeys().length, 101);
  await service.defaultKey('ims', me);
});

t.test('a default key is made once, at first use', async (t) => {
  const kms = await testKms(t);
  t.same(kms.service.listKeys(), []);
  const asked = Array.from({ length: 8 }, () => kms.service.defaultKey('evs', me));
  const ids = new Set((await Promise.all(asked)).map(({ id }) => id));
  t.equal(ids.size, 1);
  t.match(kms.service.listKeys(), [{ alias: 'evs/default', isDefault: true, state: 'enabled' }]);
  await t.rejects(kms.service.renameKey('evs/default', 'mine', me), {
    code: 'DEFAULT_KEY_PROTECTED',
  });
});
