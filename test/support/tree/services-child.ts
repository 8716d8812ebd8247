/** A process with the services of one directory that a run drives, and kills. */
import { addon } from '../../../dist/device/index.js';
import { TreeServices } from './services.js';
import type { TreeRequest } from './subject.js';

const [directory = ''] = process.argv.slice(2);
addon.hardenProcess();
const services = await TreeServices.start(directory);

process.on('message', ({ id, request }: { id: number; request: TreeRequest }) => {
  void services.perform(request).then((answer) => process.send?.({ id, answer }));
});
// The run closes the channel when it wants a clean end.
process.on('disconnect', () => {
  void services.stop();
});
process.send?.({ id: 0, answer: { code: 'done' } });
