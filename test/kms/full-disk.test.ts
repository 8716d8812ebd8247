// A full disk must not keep gates open: the key is shut first, and the answer says what could not
// be recorded.
import { rmSync } from 'node:fs';
import t from 'tap';
import { auditStatement, listAudit } from '../../dist/audit/audit.js';
import { me, testKms } from '../support/kms.js';
import { fillFilesystem, isRoot, smallFilesystem } from '../support/temp.js';
import type { TestKms } from '../support/kms.js';

const skip = !isRoot && 'needs root to mount a small filesystem';

/** Takes all space and the reserve too. Returns the file to remove. */
async function exhaust(kms: TestKms): Promise<string> {
  const filler = fillFilesystem(kms.directory);
  const record = auditStatement({
    timeMs: 0,
    principal: 'filler',
    action: 'useKey',
    resource: 'x'.repeat(1000),
    result: 'refused',
    detail: '',
  });
  const refused = await kms.store.commit(Array(20_000).fill(record)).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (refused === undefined) throw new Error('the filesystem is not small');
  for (let n = 0; n < 5000; n++) {
    try {
      await kms.store.commit([record]);
    } catch {
      fillFilesystem(kms.directory);
      return filler;
    }
  }
  throw new Error('the filesystem did not fill up');
}

async function fullKms(t: Parameters<typeof smallFilesystem>[0]): Promise<{
  kms: TestKms;
  filler: string;
  lost: string[];
}> {
  const kms = await testKms(t, smallFilesystem(t, '4m'));
  await kms.service.createKey({ alias: 'a' }, me);
  const lost: string[] = [];
  kms.service.setListener({
    keyLost: async (key) => {
      lost.push(key.state);
      return [{ disk: 'db', kind: 'volume', outcome: 'closed', tookMs: 1 }];
    },
    keyUsable: async () => [],
    keyDeleted: async () => undefined,
  });
  return { kms, filler: await exhaust(kms), lost };
}

t.test('disable shuts the key, says so, and is recorded when repeated', { skip }, async (t) => {
  const { kms, filler, lost } = await fullKms(t);
  const { id } = kms.service.findKey('a');
  const change = await kms.service.disableKey('a', me);
  t.match(change, { changed: true, key: { state: 'disabled' }, disks: [{ outcome: 'closed' }] });
  t.match(change.unrecorded, /could not be recorded \(no space left/);
  t.same(lost, ['disabled']);
  t.throws(() => kms.service.assertUsable(id), { code: 'KEY_DISABLED' });
  await t.rejects(
    kms.service.withKey(id, me, async () => undefined),
    { code: 'KEY_DISABLED' },
  );
  t.match((await kms.service.disableKey('a', me)).unrecorded, /could not be recorded/);

  rmSync(filler);
  const again = await kms.service.disableKey('a', me);
  t.match(again, { changed: true, disks: [{ outcome: 'closed' }] });
  t.equal(again.unrecorded, undefined);
  t.equal((await kms.service.disableKey('a', me)).changed, false);
  await kms.restart();
  t.equal(kms.service.findKey('a').state, 'disabled');
});

t.test('a shut key that was never recorded can be enabled', { skip }, async (t) => {
  const { kms, filler } = await fullKms(t);
  await kms.service.disableKey('a', me);
  await t.rejects(kms.service.enableKey('a', me), { code: 'NO_SPACE' });
  t.equal(kms.service.findKey('a').state, 'disabled', 'it stays shut');
  rmSync(filler);
  t.match(await kms.service.enableKey('a', me), { changed: true, key: { state: 'enabled' } });
});

t.test('a deletion that cannot be recorded shuts the key', { skip }, async (t) => {
  const { kms, filler, lost } = await fullKms(t);
  const change = await kms.service.scheduleDeletion('a', 7, me);
  t.match(change.unrecorded, /its scheduled deletion could not be recorded/);
  t.equal(change.key.state, 'disabled');
  t.same(lost, ['pending-deletion']);
  rmSync(filler);
  t.equal((await kms.service.scheduleDeletion('a', 7, me)).key.state, 'pending-deletion');
});

t.test('what only adds is refused with a clear fault and half of nothing', { skip }, async (t) => {
  const { kms, filler } = await fullKms(t);
  const { id } = kms.service.findKey('a');
  await t.rejects(kms.service.createKey({ alias: 'b' }, me), { code: 'NO_SPACE' });
  await t.rejects(
    kms.service.withKey(id, me, (session) =>
      session.createDataKey({ layer: 'l', generation: '1' }),
    ),
    { code: 'NO_SPACE', message: /no space left on the filesystem of/ },
  );
  t.equal(kms.service.listKeys().length, 1);
  rmSync(filler);
  await kms.service.createKey({ alias: 'b' }, me);
  t.match(listAudit(kms.store, { limit: 1 }), [{ action: 'createKey', result: 'allowed' }]);
});
