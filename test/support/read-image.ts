/** Opens one image as an import does, in a process of its own that a test traces. */
import { sha256OfSource } from './foreign.js';
import type { ImageFormat } from '../../dist/source/format.js';

const [file = '', format] = process.argv.slice(2);
try {
  // The test gives a format that there is.
  process.stdout.write(`${await sha256OfSource(file, format as ImageFormat | undefined)}\n`);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
