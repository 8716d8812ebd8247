// Work that is left for later is kept as an issue, where it is seen; in code it is forgotten.
import t from 'tap';
import { sourcesIn } from './sources.js';

const unfinished = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`);

t.test('no source marks unfinished work', (t) => {
  const marked = ['src', 'native', 'test', 'scripts']
    .flatMap((directory) => sourcesIn(directory, ['.ts', '.cc', '.h', '.sh']))
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, i) => (unfinished.test(line) ? [`${path}:${i + 1}`] : [])),
    );
  t.same(marked, []);
  t.end();
});
