// A detach that cannot be recorded has changed nothing: the disk is still attached and goes on, and
// the detach can be repeated when there is space again.
import t from 'tap';
import { open } from 'node:fs/promises';
import { Fault } from '../../dist/fault.js';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

t.test('a detach on a full disk', async (t) => {
  const { disks, store } = await newState(t);
  const { volumes } = disks;
  await volumes.create({ name: 'db', sizeBytes: mib }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  const write = (): Promise<unknown> => file.write(Buffer.alloc(4096, 'w'), 0, 4096, 0);
  const commit = store.commit.bind(store);
  store.commit = () => Promise.reject(new Fault('NO_SPACE', 'injected'));
  t.equal(await outcomeOf(volumes.detach('db', { force: true }, caller)), 'NO_SPACE');
  store.commit = commit;
  t.equal((await volumes.show('db')).record.state, 'in-use');
  t.equal(await outcomeOf(write()), 'done', 'no handle was revoked');
  await file.close();
  await volumes.detach('db', {}, caller);
  t.equal((await volumes.show('db')).record.state, 'available');
});
