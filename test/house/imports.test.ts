// Layers stay layers only while no file reaches up or sideways. The tables here are those of the
// design; a new arrow is a decision, made by changing the table first.
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { importsOf, sourcesIn, type Source } from './sources.js';

/** A folder of src/ and the folders it may import besides itself and the leaves. */
const mayImport: Record<string, readonly string[]> = {
  // The leaves: files directly in src/.
  '': [],
  cli: ['api'],
  daemon: [
    'api',
    'api/routes',
    'image',
    'volume',
    'disk',
    'kms',
    'policy',
    'audit',
    'device',
    'store',
  ],
  api: [],
  'api/routes': ['api', 'image', 'volume', 'disk', 'kms', 'policy', 'audit'],
  image: ['volume', 'source', 'disk', 'kms', 'device', 'store', 'audit'],
  volume: ['source', 'disk', 'kms', 'device', 'store', 'audit'],
  source: ['disk', 'device'],
  disk: ['kms', 'device', 'store'],
  kms: ['device', 'store', 'audit'],
  policy: ['store'],
  audit: ['store'],
  device: [],
  store: [],
};

/** Packages that only some folders may know, so that each can be replaced in one place. */
const ownersOfPackage: Record<string, readonly string[]> = {
  'better-sqlite3': ['store'],
  commander: ['cli'],
  'cli-progress': ['cli'],
  fastify: ['api/routes', 'daemon'],
  'fuse-native': ['device'],
  '@sinclair/typebox': ['api', 'api/routes'],
};

t.test('no file of src/ imports what its folder may not', (t) => {
  t.same(sourcesIn('src', ['.ts']).flatMap(forbiddenImports), []);
  t.end();
});

t.test('only src/device loads the addon', (t) => {
  const loaders = sourcesIn('src', ['.ts']).filter(({ text }) => /\.node['"`]/.test(text));
  t.same(
    loaders.map(({ path }) => dirname(path)),
    ['src/device'],
  );
  t.end();
});

t.test('an arrow that points up, sideways or past an owner is found', (t) => {
  const refused = [
    ['src/kms/keys.ts', '../volume/volumes.js'],
    ['src/cli/key.ts', '../kms/keys.js'],
    ['src/cli/key.ts', '../api/routes/keys.js'],
    ['src/api/client.ts', './routes/keys.js'],
    ['src/clock.ts', './store/store.js'],
    ['src/volume/volumes.ts', 'better-sqlite3'],
  ];
  for (const [path = '', target = ''] of refused) {
    for (const text of [`import { a } from '${target}';`, `export * from '${target}';`]) {
      t.same(forbiddenImports({ path, text }), [`${path} imports ${target}`]);
    }
  }
  t.same(forbiddenImports({ path: 'src/volume/a.ts', text: `import '../kms/keys.js';` }), []);
  t.end();
});

function forbiddenImports(source: Source): string[] {
  return importsOf(source)
    .filter((target) => !isAllowed(source.path, target))
    .map((target) => `${source.path} imports ${target}`);
}

function isAllowed(path: string, target: string): boolean {
  const from = folderOf(path);
  if (!target.startsWith('.')) return ownersOfPackage[target]?.includes(from) ?? true;
  const to = folderOf(normalize(join(dirname(path), target)));
  return to === '' || to === from || (mayImport[from]?.includes(to) ?? false);
}

/** `kms` for src/kms/keys.ts, `api/routes` for what serves, empty for the leaves. */
function folderOf(path: string): string {
  if (path.startsWith('src/api/routes/')) return 'api/routes';
  const [, folder = '', ...rest] = path.split('/');
  return rest.length === 0 ? '' : folder;
}
