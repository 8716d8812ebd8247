#!/usr/bin/env node
/** keyvol, the command line. */
import { endingOf } from './exit.js';
import { run } from './program.js';
import { printEnding } from './terminal.js';

// A reader that has seen enough (`keyvol key list | head -1`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await run(process.argv.slice(2));
  process.exit();
} catch (error) {
  const ending = endingOf(error);
  printEnding(ending);
  process.exit(ending.status);
}
