// What a document points at must be in the repository. On a clean checkout, as CI's is, a file that
// only its writer has, for git was told to ignore it, is not there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

const folders = ['.', 'docs', 'bench', 'fixtures/vectors'];
const documents = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

t.test('every relative link leads to a file', (t) => {
  let links = 0;
  for (const document of documents) {
    const text = readFileSync(document, 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      links += 1;
      t.ok(existsSync(join(dirname(document), target)), `${document}: ${target}`);
    }
  }
  t.ok(links > 10, 'links are found');
  t.end();
});
