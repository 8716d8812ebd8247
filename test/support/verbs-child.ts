/** A process that makes, freezes, resizes, rolls back and deletes disks until a test kills it. */
import { addon } from '../../dist/device/index.js';
import { caller, mib, outcomeOf, startState } from './state.js';

const [directory = ''] = process.argv.slice(2);
addon.hardenProcess();
const { disks, keys } = await startState(directory);
const { volumes, images, snapshots } = disks;
await outcomeOf(volumes.create({ name: 'db', sizeBytes: mib }, caller));
await outcomeOf(keys.createKey({ alias: 'other' }, caller));
process.stdout.write('ready\n');
for (;;) {
  await outcomeOf(images.create({ name: 'golden', volume: 'db' }, caller));
  await outcomeOf(images.copy('golden', { name: 'copied', key: 'other' }, caller));
  await outcomeOf(images.delete('copied', caller));
  await outcomeOf(images.delete('golden', caller));
  await outcomeOf(snapshots.create('db@one', caller));
  await outcomeOf(volumes.clone('db', 'clone', caller));
  await outcomeOf(images.create({ name: 'base', volume: 'clone' }, caller));
  await outcomeOf(volumes.create({ name: 'fresh', image: 'base' }, caller));
  await outcomeOf(volumes.resize('clone', { sizeBytes: 2 * mib }, caller));
  await outcomeOf(volumes.attach('fresh', {}, caller));
  await outcomeOf(volumes.resize('fresh', { sizeBytes: 3 * mib }, caller));
  await outcomeOf(volumes.detach('fresh', {}, caller));
  const smaller = { sizeBytes: mib, shrink: true, confirm: 'fresh' };
  await outcomeOf(volumes.resize('fresh', smaller, caller));
  await outcomeOf(volumes.delete('clone', caller));
  await outcomeOf(snapshots.rollback('db@one', caller));
  await outcomeOf(images.delete('base', caller));
  await outcomeOf(snapshots.delete('db@one', caller));
  await outcomeOf(volumes.delete('fresh', caller));
}
