// An attach that waits for its key's lock while the key is being enabled is registered already, so
// the enabling sees it: it must leave the opening to the attach, or the disk would be opened twice.
import t from 'tap';
import { caller, mib, newState } from '../support/state.js';

t.test('an attach beside an enable', async (t) => {
  const { disks, keys } = await newState(t);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  for (let round = 0; round < 5; round++) {
    await keys.disableKey('app', caller);
    const [enabled, attached] = await Promise.all([
      keys.enableKey('app', caller),
      disks.volumes.attach('db', {}, caller),
    ]);
    t.same(enabled.disks, [], 'there is nothing to open again');
    t.equal(attached.attachment?.gate, 'open');
    await disks.volumes.detach('db', {}, caller);
  }
});
