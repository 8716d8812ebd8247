/**
 * Writes random slots of the file of argument 1 (`slots` of them, argument 2; numbers count up
 * from argument 3) and fsyncs now and then, saying so on stdout before and after: `issue SLOT
 * NUMBER`, and `ack` once everything issued before is durable. Ends at the first error.
 */
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { fillSlot, slotBytes } from './slots.js';

const [path, slots, first] = process.argv.slice(2);
if (path === undefined || slots === undefined || first === undefined) throw new Error('arguments?');
const descriptor = openSync(path, 'r+');
const slot = Buffer.alloc(slotBytes);
const writesPerFlush = 8;

try {
  for (let sequence = Number(first); ; sequence += 1) {
    const index = Math.floor(Math.random() * Number(slots));
    fillSlot(slot, sequence);
    writeSync(1, `issue ${String(index)} ${String(sequence)}\n`);
    writeSync(descriptor, slot, 0, slotBytes, index * slotBytes);
    if (sequence % writesPerFlush !== 0) continue;
    fsyncSync(descriptor);
    writeSync(1, 'ack\n');
  }
} catch {
  // The daemon was killed: what was said before is what the test holds it to.
}
