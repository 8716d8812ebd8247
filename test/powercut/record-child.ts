/** Does what its argument, a list of operations, asks for, below a recorder; ends as a cut would. */
import { join } from 'node:path';
import type { Operation } from './history.js';
import { Performer } from './perform.js';
import { recorderOfThisProcess } from './recorders.js';

// Written by the test that starts this process.
const operations = JSON.parse(process.argv[2] ?? '[]') as readonly Operation[];
const recorder = recorderOfThisProcess();
const stateDir = join(recorder.root, 'state');

recorder.resume();
if (process.argv[3] === 'true') recorder.resetNonces();
const performer = await Performer.open(stateDir, { threadless: false }, (fact) => {
  recorder.mark(JSON.stringify(fact));
});
for (const operation of operations) await performer.perform(operation);
recorder.pause();
process.exit(0);
