// The daemon and every command must find the same socket, by the same rules.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readConfigFile, resolveDirectories } from '../../dist/api/directories.js';
import { tempDirectory } from '../support/temp.js';

const flags = { stateDir: '/flag/s', runtimeDir: '/flag/r' };
const file = { stateDir: '/file/s', runtimeDir: '/file/r' };
const env = { KEYVOL_STATE_DIR: '/env/s', KEYVOL_RUNTIME_DIR: '/env/r' };
const root = { env: {}, uid: 0 };

t.test('flag before environment before file before default', (t) => {
  t.match(resolveDirectories(flags, file, { env, uid: 0 }), flags);
  t.match(resolveDirectories({}, file, { env, uid: 0 }), {
    stateDir: '/env/s',
    runtimeDir: '/env/r',
  });
  t.match(resolveDirectories({}, file, root), file);
  t.match(resolveDirectories({}, {}, root), {
    stateDir: '/var/lib/keyvol',
    runtimeDir: '/run/keyvol',
    socketPath: '/run/keyvol/api.sock',
  });
  t.end();
});

t.test('a user’s own directories follow XDG', (t) => {
  const xdg = { XDG_STATE_HOME: '/x/state', XDG_RUNTIME_DIR: '/x/run' };
  t.match(resolveDirectories({}, {}, { env: xdg, uid: 1000 }), {
    stateDir: '/x/state/keyvol',
    runtimeDir: '/x/run/keyvol',
  });
  t.match(resolveDirectories({}, {}, { env: { HOME: '/home/a' }, uid: 1000 }), {
    stateDir: '/home/a/.local/state/keyvol',
    runtimeDir: '/run/user/1000/keyvol',
  });
  t.end();
});

t.test('an empty variable is none', (t) => {
  const empty = { KEYVOL_STATE_DIR: '', KEYVOL_RUNTIME_DIR: '' };
  t.match(resolveDirectories({}, {}, { env: empty, uid: 0 }), { stateDir: '/var/lib/keyvol' });
  t.end();
});

t.test('a runtime directory fits as long as its socket has a name', (t) => {
  const runtimeDir = `/${'r'.repeat(107 - '//api.sock'.length)}`;
  t.equal(resolveDirectories({ runtimeDir }, {}, root).socketPath.length, 107);
  t.throws(() => resolveDirectories({ runtimeDir: `${runtimeDir}r` }, {}, root), {
    code: 'INVALID_ARGUMENT',
    hint: /--runtime-dir/,
  });
  t.end();
});

t.test('a config file says what it means or is refused', (t) => {
  const path = join(tempDirectory(t), 'keyvold.json');
  const read = (text: string) => {
    writeFileSync(path, text);
    return readConfigFile(path);
  };
  t.same(read('{"state_dir":"/s","runtime_dir":"/r","fuse_driver":"none"}'), {
    stateDir: '/s',
    runtimeDir: '/r',
    fuseDriver: 'none',
  });
  t.same(read('{}'), {});
  t.same(read('{"nbd_listen":"[::1]:10809","nbd_tls":"/t"}'), {
    nbdListen: '[::1]:10809',
    nbdTls: '/t',
  });
  const refused: [string, RegExp][] = [
    ['', /is not JSON/],
    ['[]', /does not hold a JSON object/],
    ['{"state":"/s"}', /unknown field state$/],
    ['{"toString":"/s"}', /unknown field toString$/],
    ['{"state_dir":7}', /state_dir must be a text$/],
    ['{"state_dir":"s"}', /state_dir must be an absolute path$/],
    ['{"fuse_driver":"fast"}', /fuse_driver is not known: fast$/],
    ['{"nbd_tls":"tls"}', /nbd_tls must be an absolute path$/],
    ['{"nbd_listen":"localhost:1"}', /localhost:1 is no numeric address with a port$/],
    ['{"nbd_listen":"127.0.0.1"}', /no numeric address with a port$/],
    ['{"nbd_listen":"127.0.0.1:65536"}', /no numeric address with a port$/],
    ['{"nbd_listen":"::1:10809"}', /no numeric address with a port$/],
    ['{"nbd_listen":"[127.0.0.1]:1"}', /no numeric address with a port$/],
  ];
  for (const [text, message] of refused) {
    t.throws(() => read(text), { code: 'INVALID_ARGUMENT', message }, text);
  }
  t.throws(() => readConfigFile(`${path}.missing`), { code: 'FILE_NOT_FOUND' });
  t.end();
});
