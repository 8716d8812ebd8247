/** A process with a set of services that a test can kill: run with the directory as argument. */
import { addon } from '../../dist/device/index.js';
import { caller, startState } from './state.js';

const [directory = '', mountDirectory = ''] = process.argv.slice(2);
addon.hardenProcess();
const { disks, keys } = await startState(directory);
await keys.createKey({ alias: 'app' }, caller);
const sizeBytes = 64 * 1048576;
await disks.volumes.create({ name: 'mounted', sizeBytes, key: 'app' }, caller);
await disks.volumes.create({ name: 'attached', sizeBytes }, caller);
await disks.volumes.mount('mounted', { directory: mountDirectory, mkfs: 'ext4' }, caller);
await disks.volumes.attach('attached', {}, caller);
process.stdout.write('ready\n');
setInterval(() => undefined, 1000);
