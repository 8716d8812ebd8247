// A key's change cuts disks off: people see beforehand which, and afterwards what became of each.
import t from 'tap';
import type { KeyChangeView } from '../../dist/api/types.js';
import { keyChangeView, keyView } from '../support/example-views.js';
import { fakeApi, type FakeReply } from '../support/fake-api.js';
import { runCli } from '../support/run-cli.js';

function changing(
  change: Partial<KeyChangeView>,
): (request: { method: string }) => FakeReply | undefined {
  return ({ method }) =>
    method === 'GET'
      ? undefined
      : { body: { ...keyChangeView, ...change } satisfies KeyChangeView };
}

t.test('disable shows the blast radius first, on stderr', async (t) => {
  const api = await fakeApi(t);
  const { status, stderr } = await runCli(['key', 'disable', 'app-db'], api);
  t.equal(status, 0);
  t.match(stderr, /^keyvol: key app-db is needed by 1 volume, 1 image\n/);
  t.match(stderr, /volume +db +in-use +\/mnt\/db\n/);
  t.match(stderr, /image +debian +active +not attached\n/);
  t.strictSame(
    api.requests.map(({ path }) => path),
    ['/keys/app-db/impact', '/keys/app-db/disable'],
  );
});

t.test('disable says how many disks were cut off in how long, and how each fared', async (t) => {
  const api = await fakeApi(
    t,
    changing({
      disks: [
        { disk: 'db', kind: 'volume', outcome: 'closed', took_ms: 3 },
        { disk: 'web', kind: 'volume', outcome: 'closed-unflushed', took_ms: 800, detail: 'EIO' },
        { disk: 'old', kind: 'volume', outcome: 'kept-until-detach', took_ms: 0 },
      ],
    }),
  );
  const { stdout } = await runCli(['key', 'disable', 'app-db'], api);
  const [first, db, web, old, proof = '', ...rest] = stdout.split('\n');
  t.equal(first, 'disabled key app-db: 2 disks cut off in 12 ms');
  t.equal(db, '  volume db: closed after 3 ms');
  t.equal(web, '  volume web: closed with unflushed data after 800 ms: EIO');
  t.equal(old, '  volume old: goes on until it is detached');
  t.match(proof, new RegExp(`^  at \\d{4}-\\d\\d-\\d\\dT[0-9:]{8}Z, key id ${keyView.id}$`));
  t.strictSame(rest, ['']);
});

t.test('a state that could not be recorded is warned of, with --json too', async (t) => {
  const api = await fakeApi(t, changing({ unrecorded: 'no space left on device' }));
  const { stderr } = await runCli(['key', 'disable', 'app-db', '--json'], api);
  t.equal(stderr, 'keyvol: warning: not recorded: no space left on device\n');
});

t.test('enable says what was reopened', async (t) => {
  const disks: KeyChangeView['disks'] = [
    { disk: 'db', kind: 'volume', outcome: 'reopened', took_ms: 3 },
  ];
  const { stdout } = await runCli(
    ['key', 'enable', 'app-db'],
    await fakeApi(t, changing({ disks })),
  );
  t.equal(
    stdout,
    'enabled key app-db: 1 disk reopened in 12 ms\n  volume db: reopened after 3 ms\n',
  );
});

for (const verb of ['enable', 'disable']) {
  t.test(`${verb} of a key that already is so is a friendly no-op`, async (t) => {
    const api = await fakeApi(t, changing({ changed: false, disks: [] }));
    const { status, stdout } = await runCli(['key', verb, 'app-db'], api);
    t.equal(status, 0);
    t.equal(stdout, `key app-db is already ${verb}d\n`);
  });
}

t.test('a cancelled deletion says that the key is disabled, and how to use it', async (t) => {
  const key = { ...keyView, state: 'disabled', key_state: '3' } as const;
  const api = await fakeApi(t, changing({ key, disks: [] }));
  const { stdout } = await runCli(['key', 'cancel-deletion', 'app-db'], api);
  t.match(
    stdout,
    /^cancelled the deletion of key app-db, now disabled; .*keyvol key enable app-db/,
  );
});

t.test('deleting an image that others need says what is kept, and for whom', async (t) => {
  const body = { name: 'debian', kept_layers: 2, needed_by: ['volume:web', 'volume:db'] };
  const api = await fakeApi(t, () => ({ body }));
  const { stdout } = await runCli(['image', 'delete', 'debian'], api);
  t.equal(stdout, 'deleted image debian; 2 layers kept, needed by volume:web, volume:db\n');
});
