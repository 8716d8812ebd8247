/**
 * Reads the file of argument 1 for ever through one descriptor, 4096 bytes at a time over its
 * first MiB, and answers every line on stdin with a line of JSON: when the last read succeeded
 * and how many reads have failed since.
 */
import { openSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('which file?');
const descriptor = openSync(path, 'r');
const block = Buffer.alloc(4096);
let lastSuccessMs = 0;
let failuresSince = 0;
let offsetBytes = 0;

function readOnce(): void {
  try {
    readSync(descriptor, block, 0, block.length, offsetBytes);
    lastSuccessMs = Date.now();
    failuresSince = 0;
  } catch {
    failuresSince += 1;
  }
  offsetBytes = (offsetBytes + block.length) % 2 ** 20;
  setImmediate(readOnce);
}

createInterface({ input: process.stdin })
  .on('line', () => {
    process.stdout.write(`${JSON.stringify({ lastSuccessMs, failuresSince })}\n`);
  })
  .on('close', () => process.exit(0));
readOnce();
