// A filesystem that was cut off before it was written out has lost data, and the reply must say so.
import t from 'tap';
import { mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { isRoot } from '../support/temp.js';
import { caller, mib, newState, type State } from '../support/state.js';

const skip = isRoot ? false : 'mounting needs root';

async function mounted(state: State): Promise<string> {
  const directory = join(state.stateDir, '..', 'mnt');
  mkdirSync(directory);
  await state.keys.createKey({ alias: 'app' }, caller);
  await state.disks.volumes.create({ name: 'db', sizeBytes: 64 * mib, key: 'app' }, caller);
  await state.disks.volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  return directory;
}

t.test('a filesystem that could not be written out in time', { skip }, async (t) => {
  const state = await newState(t);
  const directory = await mounted(state);
  t.teardown(() => addon.clearBlockFaults());
  writeFileSync(join(directory, 'dirty'), Buffer.alloc(mib, 'd'));
  addon.injectBlockFault('write', { errno: 0, delayMs: 1500, sticky: true });
  const { disks } = await state.keys.disableKey('app', caller);
  addon.clearBlockFaults();
  t.match(disks, [{ disk: 'db', outcome: 'closed-unflushed', detail: /written out in time/ }]);
  t.ok((disks[0]?.tookMs ?? 9999) <= 1000);
});

t.test('a filesystem whose files a program has open and mapped', { skip }, async (t) => {
  const state = await newState(t);
  const directory = await mounted(state);
  const held = await open(join(directory, 'held'), 'w');
  await held.writeFile('held');
  const { disks } = await state.keys.disableKey('app', caller);
  t.match(disks, [{ disk: 'db', outcome: 'closed' }]);
  t.equal(disks[0]?.detail, undefined, 'an open file shows nothing');
  await held.close();
  t.match((await state.keys.enableKey('app', caller)).disks, [{ outcome: 'reopened' }]);
});
