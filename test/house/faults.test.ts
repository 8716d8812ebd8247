// The list of faults is closed: a code that nothing raises is a promise that nothing keeps.
import t from 'tap';
import { sourcesIn } from './sources.js';

/** Codes that belong to the wire API or to policies, and are raised once those exist. */
const reserved: readonly string[] = [];

t.test('every fault code is raised somewhere', (t) => {
  const table = sourcesIn('src', ['fault.ts'])[0]?.text ?? '';
  const codes = [...table.matchAll(/^ {2}([A-Z][A-Z_]+): \{/gm)].map(([, code = '']) => code);
  t.ok(codes.length > 40);
  const sources = [...sourcesIn('src', ['.ts']), ...sourcesIn('native', ['.cc', '.h'])]
    .filter(({ path }) => path !== 'src/fault.ts')
    .map(({ text }) => text)
    .join('\n');
  const unused = codes.filter((code) => !new RegExp(`['"]${code}['"]`).test(sources));
  t.same(unused, reserved);
  t.end();
});
