// What the daemon is asked for must be what the person typed, with paths made absolute: the daemon
// has another working directory.
import t from 'tap';
import { realpathSync } from 'node:fs';
import { fakeApi } from '../support/fake-api.js';
import { runCli } from '../support/run-cli.js';
import { tempDirectory } from '../support/temp.js';

const api = await fakeApi(t);
const cwd = realpathSync(tempDirectory(t));

const requests: [line: string, path: string, body: unknown][] = [
  [
    'volume create db --size 1.5G --key app-db --preallocate --on-key-loss suspend',
    '/volumes',
    { name: 'db', size: 1.5 * 2 ** 30, key: 'app-db', preallocate: true, on_key_loss: 'suspend' },
  ],
  ['volume create db --size 4096', '/volumes', { name: 'db', size: 4096 }],
  ['volume create db --size 0', '/volumes', { name: 'db', size: 0 }],
  ['volume create db --file ./disk.raw', '/volumes', { name: 'db', file: `${cwd}/disk.raw` }],
  [
    'volume create db --image debian --key other',
    '/volumes',
    { name: 'db', image: 'debian', key: 'other' },
  ],
  ['volume create db --snapshot a@b', '/volumes', { name: 'db', snapshot: 'a@b' }],
  [
    'volume mount db mnt --mkfs xfs --read-only',
    '/volumes/db/mount',
    { directory: `${cwd}/mnt`, mkfs: 'xfs', read_only: true },
  ],
  ['volume resize db --size 20G', '/volumes/db/resize', { size: 20 * 2 ** 30 }],
  [
    'volume resize db --size 8192 --grow-filesystem',
    '/volumes/db/resize',
    { size: 8192, grow_filesystem: true },
  ],
  [
    'volume resize db --size 4096 --shrink --confirm db',
    '/volumes/db/resize',
    { size: 4096, shrink: true, confirm: 'db' },
  ],
  ['volume resize db --size 4096 --shrink', '/volumes/db/resize', { size: 4096, shrink: true }],
  [
    'volume export db --out db.raw',
    '/volumes/db/export',
    { file: `${cwd}/db.raw`, plaintext: false },
  ],
  [
    'volume export db@s --out /r --plaintext',
    '/volumes/db@s/export',
    { file: '/r', plaintext: true },
  ],
  ['image export i --out r --plaintext', '/images/i/export', { file: `${cwd}/r`, plaintext: true }],
  ['volume check db@s', '/volumes/db@s/check', {}],
  ['volume check db --repair --read-data', '/volumes/db/check', { read_data: true, repair: true }],
  ['image check i --read-data', '/images/i/check', { read_data: true }],
  ['volume export-key db --out db.key', '/volumes/db/export-key', { file: `${cwd}/db.key` }],
  ['volume detach db --force', '/volumes/db/detach', { force: true }],
  ['image create i --file /i.raw --key k', '/images', { name: 'i', file: '/i.raw', key: 'k' }],
  ['image copy i j --key k', '/images/i/copy', { name: 'j', key: 'k' }],
  ['image mount i .', '/images/i/mount', { directory: cwd }],
  ['key create k', '/keys', { name: 'k' }],
  ['key create k --origin external', '/keys', { name: 'k', origin: 'external' }],
  ['key enable evs/default', '/keys/evs/default/enable', {}],
  [
    'key schedule-deletion k --days 7 --confirm k',
    '/keys/k/schedule-deletion',
    { days: 7, confirm: 'k' },
  ],
  ['key schedule-deletion k --days 7', '/keys/k/schedule-deletion', { days: 7 }],
  ['snapshot create db@monday', '/snapshots', { snapshot: 'db@monday' }],
  ['snapshot list db', '/snapshots?volume=db', undefined],
  ['audit ls --limit 3 --since 9', '/audit?limit=3&since_sequence=9', undefined],
];

for (const [line, path, body] of requests) {
  t.test(`keyvol ${line} asks for ${path}`, async (t) => {
    api.requests.length = 0;
    const { runtimeDir } = api;
    const { status, stderr } = await runCli(line.split(' '), { runtimeDir, cwd });
    t.equal(status, 0, stderr);
    const request = api.requests.at(-1);
    t.equal(request?.path, path);
    t.strictSame(request?.body, body);
  });
}

t.test('--runtime-dir on the command line wins over the environment', async (t) => {
  const args = ['--runtime-dir', api.runtimeDir, 'key', 'list'];
  t.equal((await runCli(args, { runtimeDir: '/nonexistent' })).status, 0);
  const last = ['key', 'list', '--runtime-dir', '/nonexistent'];
  t.equal((await runCli(last, { runtimeDir: api.runtimeDir })).status, 7);
});
