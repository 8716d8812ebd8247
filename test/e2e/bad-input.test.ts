/**
 * What a person gets wrong is answered by one clear line that names the thing, the right exit
 * status, and a state that is exactly as before.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { startWorld, type World } from '../support/world.js';

interface BadInput {
  readonly args: readonly string[];
  readonly status: number;
  readonly says: RegExp;
}

const noId = '00000000-0000-4000-8000-000000000000';
const create = ['volume', 'create', 'n', '--size'];

const badInputs: readonly BadInput[] = [
  // Unknown names.
  { args: ['volume', 'show', 'nobody'], status: 3, says: /volume nobody/ },
  { args: ['volume', 'attach', noId], status: 3, says: /volume 0000/ },
  { args: ['image', 'show', 'nobody'], status: 3, says: /image nobody/ },
  { args: ['snapshot', 'show', 'idle@nobody'], status: 3, says: /snapshot idle@nobody/ },
  { args: ['snapshot', 'create', 'nobody@s'], status: 3, says: /volume nobody/ },
  { args: ['key', 'show', 'nobody'], status: 3, says: /key nobody/ },
  { args: [...create, '1M', '--key', 'nobody'], status: 3, says: /key nobody/ },
  { args: ['volume', 'create', 'n', '--image', 'nobody'], status: 3, says: /image nobody/ },
  {
    args: ['volume', 'create', 'n', '--file', '/no/such/file'],
    status: 3,
    says: /\/no\/such\/file/,
  },
  // Names outside the rule, or taken.
  { args: ['volume', 'create', '.hidden', '--size', '1M'], status: 2, says: /\.hidden/ },
  { args: ['volume', 'create', 'a/b', '--size', '1M'], status: 2, says: /a\/b/ },
  { args: ['volume', 'create', noId, '--size', '1M'], status: 2, says: /UUID/ },
  { args: ['volume', 'create', 'x'.repeat(65), '--size', '1M'], status: 2, says: /xxxx/ },
  { args: ['key', 'create', 'mine/default'], status: 2, says: /mine\/default/ },
  { args: ['key', 'create', 'with space'], status: 2, says: /with space/ },
  { args: ['volume', 'create', 'idle', '--size', '1M'], status: 6, says: /idle/ },
  { args: ['volume', 'rename', 'idle', 'busy'], status: 6, says: /busy/ },
  { args: ['image', 'create', 'golden', '--volume', 'idle'], status: 6, says: /golden/ },
  { args: ['snapshot', 'create', 'idle@s'], status: 6, says: /idle@s/ },
  { args: ['key', 'create', 'app'], status: 6, says: /app/ },
  // Sizes.
  { args: [...create, '0'], status: 2, says: /size/ },
  { args: [...create, '-4096'], status: 2, says: /size|-4096/ },
  { args: [...create, '4097'], status: 2, says: /4096/ },
  { args: [...create, '1Q'], status: 2, says: /1Q/ },
  { args: [...create, '8000P'], status: 2, says: /8000P/ },
  { args: [...create, '64T', '--preallocate'], status: 9, says: /space|free/ },
  {
    args: ['volume', 'create', 'n', '--image', 'golden', '--size', '4096'],
    status: 2,
    says: /size|smaller/,
  },
  { args: ['volume', 'create', 'n'], status: 2, says: /size/ },
  // Keys that cannot be used or chosen.
  { args: [...create, '1M', '--key', 'off'], status: 4, says: /off.*disabled/ },
  { args: [...create, '1M', '--key', 'dying'], status: 4, says: /dying.*pending deletion/ },
  { args: [...create, '1M', '--key', 'foreign'], status: 4, says: /foreign.*pending import/ },
  { args: ['volume', 'create', 'n', '--image', 'golden', '--key', 'app'], status: 2, says: /key/ },
  {
    args: ['volume', 'create', 'n', '--snapshot', 'idle@s', '--key', 'app'],
    status: 2,
    says: /key/,
  },
  { args: ['key', 'disable', 'evs/default'], status: 5, says: /evs\/default/ },
  { args: ['key', 'schedule-deletion', 'app', '--days', '6'], status: 2, says: /7/ },
  { args: ['key', 'schedule-deletion', 'app', '--days', '1097'], status: 2, says: /1096/ },
  { args: ['key', 'schedule-deletion', 'used', '--days', '7'], status: 6, says: /used/ },
  {
    args: ['key', 'schedule-deletion', 'used', '--days', '7', '--confirm', 'usde'],
    status: 6,
    says: /used/,
  },
  { args: ['key', 'cancel-deletion', 'app'], status: 6, says: /app/ },
  { args: ['key', 'enable', 'dying'], status: 4, says: /dying.*pending deletion/ },
  // Disks in the wrong state.
  { args: ['volume', 'attach', 'busy'], status: 6, says: /busy/ },
  { args: ['volume', 'detach', 'idle'], status: 6, says: /idle/ },
  { args: ['volume', 'detach', 'mounted'], status: 6, says: /mounted/ },
  { args: ['volume', 'unmount', 'busy'], status: 6, says: /busy/ },
  { args: ['volume', 'delete', 'busy', '--yes'], status: 6, says: /busy/ },
  { args: ['volume', 'delete', 'mounted', '--yes'], status: 6, says: /mounted/ },
  { args: ['volume', 'delete', 'idle', '--yes'], status: 6, says: /idle.*snapshot/ },
  {
    args: ['volume', 'mount', 'idle', '/no/such/directory'],
    status: 3,
    says: /\/no\/such\/directory/,
  },
  { args: ['volume', 'mount', 'idle', '/etc/passwd'], status: 2, says: /not a directory/ },
  { args: ['snapshot', 'rollback', 'busy@s'], status: 6, says: /busy/ },
  // Typing.
  { args: ['volumes', 'list'], status: 2, says: /volume/ },
  { args: ['volume', 'crate', 'x'], status: 2, says: /create/ },
  { args: ['volume', 'create', 'n', '--sise', '1M'], status: 2, says: /--size/ },
  { args: ['volume', 'attach'], status: 2, says: /volume/ },
  {
    args: ['volume', 'create', 'n', '--image', 'golden', '--snapshot', 'idle@s'],
    status: 2,
    says: /--image|--snapshot/,
  },
];

async function prepare(world: World): Promise<void> {
  const directory = join(world.directory, 'mnt');
  await mkdir(directory);
  for (const name of ['app', 'off', 'dying', 'used']) await world.keyvol('key', 'create', name);
  await world.keyvol('key', 'create', 'foreign', '--origin', 'external');
  await world.keyvol('key', 'disable', 'off');
  await world.keyvol('key', 'schedule-deletion', 'dying', '--days', '7');
  for (const name of ['idle', 'busy']) await world.keyvol('volume', 'create', name, '--size', '1M');
  await world.keyvol('volume', 'create', 'mounted', '--size', '64M', '--key', 'used');
  await world.keyvol('snapshot', 'create', 'idle@s');
  await world.keyvol('snapshot', 'create', 'busy@s');
  await world.keyvol('image', 'create', 'golden', '--volume', 'idle');
  await world.keyvol('volume', 'attach', 'busy');
  await world.keyvol('volume', 'mount', 'mounted', directory, '--mkfs', 'ext4');
}

/** All that a user could see changed: containers, and every record. */
async function stateOf(world: World): Promise<unknown> {
  const lists = [];
  for (const noun of ['key', 'volume', 'image', 'snapshot']) {
    lists.push(await world.json<unknown>(noun, 'list'));
  }
  return { containers: (await readdir(world.layersPath())).sort(), lists };
}

/** `used` of the mounted disk moves with the kernel's own writes, what is left of a deletion window with time. */
function withoutUse(state: unknown): unknown {
  return JSON.parse(JSON.stringify(state), (name, value: unknown) =>
    ['used', 'deletion_at', 'deletion_days_left'].includes(name) ? undefined : value,
  );
}

t.test('bad input', async (t) => {
  const world = await startWorld(t);
  await prepare(world);
  const before = withoutUse(await stateOf(world));
  for (const { args, status, says } of badInputs) {
    const result = await world.try(...args);
    const line = `keyvol ${args.join(' ')}`;
    t.equal(result.status, status, `${line} exits ${String(status)}: ${result.stderr}`);
    t.match(result.stderr, says, `${line} names what is wrong`);
    t.match(
      result.stderr,
      /(^|\n)keyvol: error: [^\n]+\n(hint: [^\n]+\n)?$/,
      `${line}: one line, a hint`,
    );
  }
  t.same(withoutUse(await stateOf(world)), before, 'and nothing has changed');
});

t.test('a raw file of odd size is padded, and that is said', async (t) => {
  const world = await startWorld(t);
  const file = join(world.directory, 'odd.raw');
  await writeFile(file, Buffer.alloc(5000, 7));
  const made = await world.try('image', 'create', 'odd', '--file', file);
  t.equal(made.status, 0, made.stderr);
  t.match(made.stdout + made.stderr, /padded.*3192/, 'by how much');
  const empty = join(world.directory, 'empty.raw');
  await writeFile(empty, '');
  t.equal((await world.try('image', 'create', 'empty', '--file', empty)).status, 2);
});
