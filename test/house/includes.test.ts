// The same as imports.test.ts for C++: a transport that sees a layer, or a cipher that sees
// JavaScript, is refused here and not in review.
import { dirname } from 'node:path';
import t from 'tap';
import { includesOf, sourcesIn, systemIncludesOf, type Source } from './sources.js';

const everythingBelowBinding = [
  'transport/fuse',
  'transport/nbd',
  'transport/tls',
  'disk',
  'container',
  'xts',
  'wrap',
  'host',
  'secret',
];

/** A folder of native/ and the folders it may include besides itself and native/ itself. */
const mayInclude: Record<string, readonly string[]> = {
  '': ['binding'],
  binding: everythingBelowBinding,
  // What every transport needs.
  transport: [],
  'transport/fuse': ['transport', 'disk'],
  'transport/fuse/holder': ['transport/fuse', 'host'],
  'transport/nbd': ['transport', 'transport/tls', 'disk'],
  'transport/tls': ['secret'],
  // Through a container and a cipher a disk sees the secret that both take.
  disk: ['container', 'xts', 'secret'],
  container: ['secret'],
  xts: ['secret'],
  wrap: ['secret'],
  host: [],
  holder: [],
  secret: [],
};

t.test('no file of native/ includes what its folder may not', (t) => {
  t.same(sourcesIn('native', ['.h', '.cc']).flatMap(forbiddenIncludes), []);
  t.end();
});

t.test('only native/binding and addon.cc know JavaScript', (t) => {
  const knowing = sourcesIn('native', ['.h', '.cc'])
    .filter((source) =>
      systemIncludesOf(source).some((header) => /^(napi|node_api|node|v8|uv)\.h$/.test(header)),
    )
    .map(({ path }) => path)
    .filter((path) => path !== 'native/addon.cc' && !path.startsWith('native/binding/'));
  t.same(knowing, []);
  t.end();
});

t.test('an include that points up is found', (t) => {
  for (const [path = '', header = ''] of [
    ['native/disk/gate.cc', 'transport/fuse/session.h'],
    ['native/transport/fuse/session.cc', 'xts/xts.h'],
    ['native/secret/secret.cc', 'binding/fault.h'],
  ]) {
    const text = `#include <vector>\n#include "${header}"\n`;
    t.same(forbiddenIncludes({ path, text }), [`${path} includes ${header}`]);
  }
  t.same(forbiddenIncludes({ path: 'native/disk/gate.cc', text: '#include "status.h"\n' }), []);
  t.end();
});

function forbiddenIncludes(source: Source): string[] {
  return includesOf(source)
    .filter((header) => !isAllowed(folderOf(source.path), folderOf(`native/${header}`)))
    .map((header) => `${source.path} includes ${header}`);
}

function isAllowed(from: string, to: string): boolean {
  // Headers directly in native/ (status, descriptors) are the leaves.
  return to === '' || to === from || (mayInclude[from]?.includes(to) ?? false);
}

function folderOf(path: string): string {
  return dirname(path).replace(/^native\/?/, '');
}
