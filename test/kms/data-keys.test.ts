// What unwraps, and what must not: another key's, another disk's, an older header's.
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { encrypted } from '../support/encrypted.js';
import { contextOf, me, testKms } from '../support/kms.js';
import type { TestKms } from '../support/kms.js';

const refused = { code: 'INTEGRITY_FAILED' };

async function create(kms: TestKms, id: string, context: Record<string, string>): Promise<Buffer> {
  return kms.service.withKey(id, me, async (session) => {
    const { dataKey, wrapped } = await session.createDataKey(context);
    dataKey.release();
    return wrapped;
  });
}

async function unwrap(
  kms: TestKms,
  id: string,
  wrapped: Buffer,
  context: Record<string, string>,
): Promise<void> {
  await kms.service.withKey(id, me, async (session) => {
    (await session.unwrapDataKey(wrapped, context)).release();
  });
}

t.test('what was wrapped unwraps to the same key', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  const context = contextOf('layer', 1, id);
  await kms.service.withKey(id, me, async (session) => {
    const { dataKey, wrapped } = await session.createDataKey(context);
    const again = await session.unwrapDataKey(wrapped, context);
    const sector = Buffer.alloc(4096, 5);
    t.same(encrypted(again, sector), encrypted(dataKey, sector));
    t.equal(wrapped.length, 36 + 64 + 16, 'prefix, key, tag');
    t.match(addon.readWrapLabel(wrapped), { keyId: id, keyVersion: 1, purpose: 'data-key' });
    dataKey.release();
    again.release();
  });
});

t.test('every data key is another one', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  const made = await Promise.all([1, 2, 3].map((n) => create(kms, id, contextOf(`l-${n}`))));
  t.equal(new Set(made.map((wrapped) => wrapped.toString('hex'))).size, 3);
});

t.test('another key, another context or an edited byte is refused', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  const other = await kms.service.createKey({ alias: 'b' }, me);
  const context = contextOf('layer', 1, id);
  const wrapped = await create(kms, id, context);
  await t.rejects(unwrap(kms, other.id, wrapped, context), refused);
  await t.rejects(unwrap(kms, id, wrapped, contextOf('another', 1, id)), refused);
  await t.rejects(unwrap(kms, id, wrapped, contextOf('layer', 2, id)), refused);
  await t.rejects(unwrap(kms, id, wrapped, { ...context, parent: '' }), refused);
  for (let offset = 0; offset < wrapped.length; offset += 7) {
    const edited = Buffer.from(wrapped);
    edited.writeUInt8(edited.readUInt8(offset) ^ 1, offset);
    await t.rejects(unwrap(kms, id, edited, context), refused, `byte ${offset}`);
  }
  for (const length of [0, 1, 35, wrapped.length - 1]) {
    await t.rejects(unwrap(kms, id, wrapped.subarray(0, length), context), refused);
  }
  await unwrap(kms, id, wrapped, context);
});

t.test('an older header than was recorded is refused, also after a restart', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  const [first, second] = [contextOf('layer', 1, id), contextOf('layer', 2, id)];
  const old = await create(kms, id, first);
  await unwrap(kms, id, old, first);
  const current = await create(kms, id, second);
  const outdated = { code: 'HEADER_OUTDATED', message: /generation 1, generation 2 was written/ };
  await t.rejects(unwrap(kms, id, old, first), outdated);
  await unwrap(kms, id, current, second);
  await kms.restart();
  await t.rejects(unwrap(kms, id, old, first), outdated);
  await unwrap(kms, id, current, second);
});

t.test('a header newer than the record is taken, and remembered', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  const [first, second] = [contextOf('layer', 1, id), contextOf('layer', 2, id)];
  const old = await create(kms, id, first);
  const current = await create(kms, id, second);
  await kms.stop();
  kms.edit('DELETE FROM layer_generations'); // an older copy of keys.db was put back
  await kms.start();
  await unwrap(kms, id, old, first);
  await unwrap(kms, id, current, second);
  await t.rejects(unwrap(kms, id, old, first), { code: 'HEADER_OUTDATED' });
});

t.test('a context must name its layer and generation', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  for (const context of [
    {},
    { layer: 'l' },
    { generation: '1' },
    { layer: 'l', generation: '-1' },
    { layer: 'l', generation: '1.5' },
    { layer: '', generation: '1' },
  ]) {
    await t.rejects(create(kms, id, context), { code: 'INVALID_ARGUMENT' });
  }
});

t.test('a key version wraps 2^32 data keys and not one more', async (t) => {
  const kms = await testKms(t);
  const { id } = await kms.service.createKey({ alias: 'a' }, me);
  await kms.stop();
  kms.edit('UPDATE key_versions SET wrap_count = ?', 2 ** 32 - 2);
  await kms.start();
  await create(kms, id, contextOf('l-1'));
  const asked = await Promise.allSettled(
    [2, 3, 4].map((n) => create(kms, id, contextOf(`l-${n}`))),
  );
  t.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1);
  t.match(
    asked.filter(({ status }) => status === 'rejected'),
    Array(2).fill({ reason: { code: 'LIMIT_REACHED', hint: 'keyvol key rotate a' } }),
  );
  t.match(kms.store.get('SELECT wrap_count FROM key_versions'), { wrap_count: 2 ** 32 });
});

t.test(
  'a session ends with its callback, and a failing callback gives the lock back',
  async (t) => {
    const kms = await testKms(t);
    const { id } = await kms.service.createKey({ alias: 'a' }, me);
    const kept = await kms.service.withKey(id, me, async (session) => session);
    await t.rejects(kept.createDataKey(contextOf('l')), { code: 'INTERNAL' });
    const fails = kms.service.withKey(id, me, async () => {
      throw new Error('mine');
    });
    await t.rejects(fails, { message: 'mine' });
    t.equal((await kms.service.disableKey(id, me)).changed, true);
  },
);
