// A file that has grown past what a reader holds in mind is two ideas; it is split.
import t from 'tap';
import { existsSync } from 'node:fs';
import { sourcesIn } from './sources.js';

const maxLines = 400;
const directories = ['src', 'native', 'test', 'scripts', 'bench'].filter(existsSync);
const endings = ['.ts', '.js', '.mjs', '.cc', '.h', '.sh', '.py'];

t.test(`no source file has more than ${maxLines} lines`, (t) => {
  const files = directories.flatMap((directory) => sourcesIn(directory, endings));
  t.ok(files.some(({ path }) => path === 'src/fault.ts'));
  const long = files
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > maxLines);
  t.same(long, []);
  t.end();
});
