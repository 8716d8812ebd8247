/** What became of the disks of a key is on record: a security officer has to prove it. */
import t from 'tap';
import { listAudit } from '../../dist/audit/audit.js';
import { noFuse } from '../support/fuse.js';
import { caller, newState } from '../support/state.js';

t.test('disks cut off and reopened are on record', { skip: noFuse }, async (t) => {
  const state = await newState(t);
  await state.keys.createKey({ alias: 'app' }, caller);
  const volume = { name: 'db', sizeBytes: 2 ** 20, key: 'app' };
  await state.disks.volumes.create(volume, caller);
  const detailsOf = (action: string): string[] =>
    listAudit(state.audit, { limit: 1000 })
      .filter((entry) => entry.action === action && entry.resource.startsWith('app ('))
      .map((entry) => entry.detail);

  await state.keys.disableKey('app', caller);
  t.same(detailsOf('cutOffDisks'), [], 'nothing was attached');
  await state.keys.enableKey('app', caller);
  await state.disks.volumes.attach('db', {}, caller);
  await state.keys.disableKey('app', caller);
  t.match(detailsOf('cutOffDisks'), [/^volume db closed after \d+ ms$/]);
  await state.keys.enableKey('app', caller);
  t.match(detailsOf('reopenDisks'), [/^volume db reopened after \d+ ms$/]);
  await state.disks.volumes.detach('db', {}, caller);
});
