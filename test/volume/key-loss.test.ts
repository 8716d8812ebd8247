// DESIGN §4: a key that is disabled cuts its attached disks off within a second; enabled again, the
// same attachment and the same open file go on. until-detach keeps them, but not the next attach.
import t from 'tap';
import { open, type FileHandle } from 'node:fs/promises';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

async function canRead(file: FileHandle): Promise<boolean> {
  return file.read(Buffer.alloc(4096), 0, 4096, 0).then(
    () => true,
    () => false,
  );
}

t.test('deny cuts off and goes on', async (t) => {
  const { disks, keys } = await newState(t);
  const { volumes, images } = disks;
  await keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: 8 * mib, key: 'app' }, caller);
  await volumes.create({ name: 'other', sizeBytes: 8 * mib }, caller);
  await images.create({ name: 'base', volume: 'db' }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  await images.attach('base', {}, caller);
  await volumes.attach('other', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  await file.write(Buffer.alloc(4096, 'k'), 0, 4096, 0);
  await file.sync();
  await file.write(Buffer.alloc(4096, 'u'), 0, 4096, 4096);

  let lastSuccessMs = 0;
  const end = new AbortController();
  const reader = (async () => {
    while (!end.signal.aborted) if (await canRead(file)) lastSuccessMs = performance.now();
  })();
  const disabled = await keys.disableKey('app', caller);
  const repliedMs = performance.now();
  t.same(disabled.disks.map((disk) => [disk.kind, disk.disk, disk.outcome]).sort(), [
    ['image', 'base', 'closed'],
    ['volume', 'db', 'closed'],
  ]);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  end.abort();
  await reader;
  t.ok(lastSuccessMs < repliedMs + 1000, 'the last success was within a second of the reply');
  t.notOk(await canRead(file));
  t.equal((await volumes.show('db')).attachment?.gate, 'closed');
  t.equal((await volumes.show('other')).attachment?.gate, 'open', 'other keys are not concerned');
  t.equal(await outcomeOf(volumes.clone('db', 'clone', caller)), 'KEY_DISABLED');
  t.equal(await outcomeOf(volumes.mount('db', { directory: '/mnt' }, caller)), 'KEY_DISABLED');

  const enabled = await keys.enableKey('app', caller);
  t.same(new Set(enabled.disks.map((disk) => disk.outcome)), new Set(['reopened']));
  const { buffer } = await file.read(Buffer.alloc(8192), 0, 8192, 0);
  t.equal(buffer.toString(), 'k'.repeat(4096) + 'u'.repeat(4096), 'nothing acknowledged is lost');
  await file.write(Buffer.alloc(4096, 'w'), 0, 4096, 0);
  await file.sync();
  await file.close();
  await volumes.detach('db', {}, caller);
});

t.test('until-detach goes on until it is detached', async (t) => {
  const { disks, keys } = await newState(t);
  const { volumes } = disks;
  await keys.createKey({ alias: 'app' }, caller);
  const onKeyLoss = 'until-detach';
  await volumes.create({ name: 'db', sizeBytes: 8 * mib, key: 'app', onKeyLoss }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  const disabled = await keys.disableKey('app', caller);
  t.same(
    disabled.disks.map((disk) => disk.outcome),
    ['kept-until-detach'],
  );
  await file.write(Buffer.alloc(4096, 'w'), 0, 4096, 0);
  await file.sync();
  t.ok(await canRead(file));
  await file.close();
  t.equal(await outcomeOf(disks.snapshots.create('db@one', caller)), 'KEY_DISABLED');
  await volumes.detach('db', {}, caller);
  t.equal(await outcomeOf(volumes.attach('db', {}, caller)), 'KEY_DISABLED');
  await keys.enableKey('app', caller);
  t.equal(await outcomeOf(volumes.attach('db', {}, caller)), 'done');
});

t.test('a detached disk is opened by nothing but an attach', async (t) => {
  const { disks, keys } = await newState(t);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: 8 * mib, key: 'app' }, caller);
  await disks.volumes.attach('db', {}, caller);
  await keys.disableKey('app', caller);
  await disks.volumes.detach('db', {}, caller);
  t.same((await keys.enableKey('app', caller)).disks, []);
  t.equal((await disks.volumes.show('db')).attachment, undefined);
});

t.test('a policy that is tightened after the key was lost closes the gate', async (t) => {
  const { disks, keys } = await newState(t);
  const { volumes } = disks;
  await keys.createKey({ alias: 'app' }, caller);
  const onKeyLoss = 'until-detach';
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app', onKeyLoss }, caller);
  await volumes.attach('db', {}, caller);
  await volumes.setOnKeyLoss('db', 'deny', caller);
  t.equal((await volumes.show('db')).attachment?.gate, 'open', 'its key is there');
  await volumes.setOnKeyLoss('db', onKeyLoss, caller);
  await keys.disableKey('app', caller);
  t.equal((await volumes.show('db')).attachment?.gate, 'open');
  const tightened = await volumes.setOnKeyLoss('db', 'deny', caller);
  t.equal(tightened.attachment?.gate, 'closed');
  t.match((await keys.enableKey('app', caller)).disks, [{ disk: 'db', outcome: 'reopened' }]);
});
