// The whole promise of the product is this table, so every cell is tried on a real service and
// judged by a copy of DESIGN §4 that was written by hand, cloud codes included.
import t from 'tap';
import { Fault, mappingOf } from '../../dist/fault.js';
import { keyStateNumbers, keyStateTable, nextState } from '../../dist/kms/key-state.js';
import { contextOf, me, testKms } from '../support/kms.js';
import type { TestKms } from '../support/kms.js';

const columns = ['enabled', 'disabled', 'pending-deletion', 'pending-import', 'default'] as const;
type Column = (typeof columns)[number];

/** Cells: the state that follows, "ok" for none, or the cloud's code. In the order of `columns`. */
const design = {
  use: ['ok', 'KMS.0209', 'KMS.0210', 'KMS.1301', 'ok'],
  enable: ['KMS.1201', 'enabled', 'KMS.0210', 'KMS.1201', 'KMS.0211'],
  disable: ['disabled', 'KMS.1301', 'KMS.0210', 'KMS.1301', 'KMS.0211'],
  'schedule-deletion': [
    'pending-deletion',
    'pending-deletion',
    'KMS.1402',
    'pending-deletion',
    'KMS.0211',
  ],
  'cancel-deletion': ['KMS.1501', 'KMS.1501', 'disabled', 'KMS.1501', 'KMS.0211'],
  update: ['ok', 'ok', 'KMS.0210', 'ok', 'KMS.0211'],
  'import-material': ['KMS.0310', 'KMS.0310', 'KMS.0310', 'enabled', 'KMS.0211'],
} as const;
type Action = keyof typeof design;
const actions = Object.keys(design) as Action[]; // its own keys, for it is a literal

/** Where a person's repeated wish is no error. */
const friendly = new Set(['enable enabled', 'disable disabled']);

async function keyIn(column: Column, alias: string, { service }: TestKms): Promise<string> {
  if (column === 'default') return (await service.defaultKey('evs', me)).id;
  const origin = column === 'pending-import' ? 'external' : 'kms';
  const { id } = await service.createKey({ alias, origin }, me);
  if (column === 'disabled') await service.disableKey(id, me);
  if (column === 'pending-deletion') await service.scheduleDeletion(id, 30, me);
  return id;
}

const tries: Record<Exclude<Action, 'import-material'>, (id: string, k: TestKms) => unknown> = {
  use: (id, { service }) =>
    service.withKey(id, me, async (session) =>
      (await session.createDataKey(contextOf('layer'))).dataKey.release(),
    ),
  enable: (id, { service }) => service.enableKey(id, me),
  disable: (id, { service }) => service.disableKey(id, me),
  'schedule-deletion': (id, { service }) => service.scheduleDeletion(id, 7, me),
  'cancel-deletion': (id, { service }) => service.cancelDeletion(id, me),
  update: (id, { service }) => service.describeKey(id, 'new words', me),
};

async function outcome(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    return error instanceof Fault ? (mappingOf(error.code).cloudCode ?? error.code) : String(error);
  }
}

t.test('every action on a key in every state', async (t) => {
  const kms = await testKms(t);
  const states = new Map<string, string>();
  for (const [index, column] of columns.entries()) {
    for (const action of actions) {
      const cell = design[action][index] ?? '';
      const name = `${action} of a key that is ${column}`;
      const written = keyStateTable[action][column];
      const code = /^[A-Z_]+$/.test(written) ? mappingOf(written as 'INTERNAL').cloudCode : written;
      t.equal(code === 'same' ? 'ok' : code, cell, `the table: ${name}`);
      if (action === 'import-material') continue;

      const id = await keyIn(column, `${column}-${action}`, kms);
      const before = kms.service.findKey(id).state;
      const isFriendly = friendly.has(`${action} ${column}`);
      const refused = cell.startsWith('KMS.') && !isFriendly;
      t.equal(await outcome(() => tries[action](id, kms)), refused ? cell : 'ok', name);
      const expected = refused || isFriendly || cell === 'ok' ? before : cell;
      t.equal(kms.service.findKey(id).state, expected, `the state after ${name}`);
      states.set(id, expected);
    }
  }
  await kms.restart();
  for (const [id, state] of states) t.equal(kms.service.findKey(id).state, state, 'restarted');
});

t.test('a friendly no-op says that nothing changed', async (t) => {
  const { service } = await testKms(t);
  await service.createKey({ alias: 'a' }, me);
  t.match(await service.enableKey('a', me), { changed: false, disks: [] });
  t.match(await service.disableKey('a', me), { changed: true });
  t.match(await service.disableKey('a', me), { changed: false });
  t.match(await service.enableKey('a', me), { changed: true });
});

t.test('cancelling leads to pending import where there never was material', async (t) => {
  const { service } = await testKms(t);
  await service.createKey({ alias: 'a', origin: 'external' }, me);
  await service.scheduleDeletion('a', 7, me);
  t.equal((await service.cancelDeletion('a', me)).key.state, 'pending-import');
});

t.test('states have the numbers of the cloud', async (t) => {
  t.same(keyStateNumbers, {
    enabled: 2,
    disabled: 3,
    'pending-deletion': 4,
    'pending-import': 5,
  });
});

t.test('a refusal names the key, its state and the cure', async (t) => {
  const key = { alias: 'app-db', isDefault: false, version: 1 } as const;
  const fiveDaysAndABit = 5 * 86_400_000 + 1;
  const pending = { ...key, state: 'pending-deletion', deletionLeftMs: fiveDaysAndABit } as const;
  t.throws(() => nextState('use', pending), {
    message: 'key app-db is pending deletion (6 days left)',
    hint: 'keyvol key cancel-deletion app-db, then keyvol key enable app-db',
  });
  t.throws(() => nextState('use', { ...key, state: 'disabled' }), {
    message: 'key app-db is disabled',
    hint: 'keyvol key enable app-db',
  });
});
