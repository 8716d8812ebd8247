// Deleting a key destroys every disk that needs it, so the name must be typed when there is one.
import t from 'tap';
import type { MasterKey } from '../../dist/kms/key-service.js';
import { appKey, startApi } from '../support/api.js';
import type { Teardown } from '../support/temp.js';

const disk = { kind: 'volume', state: 'in-use', attached: true };

async function apiWith(t: Teardown, names: readonly string[]) {
  const scheduled: number[] = [];
  const pending: MasterKey = { ...appKey, state: 'pending-deletion', deletionLeftMs: 6.2 * 864e5 };
  const api = await startApi(t, {
    keys: {
      scheduleDeletion: (
        _key: string,
        days: number,
        _caller: unknown,
        confirm: (key: MasterKey) => void,
      ) => {
        confirm(appKey);
        scheduled.push(days);
        return { key: pending, changed: true, disks: [], tookMs: 1 };
      },
    },
    disks: { impact: () => names.map((name) => ({ ...disk, name })) },
  });
  return { ...api, scheduled };
}

t.test('a key that no disk needs goes without a word', async (t) => {
  const { client, scheduled } = await apiWith(t, []);
  t.match(await client.scheduleKeyDeletion('app-db', 7), { key: { deletion_days_left: 7 } });
  t.same(scheduled, [7]);
});

t.test('a key that disks need asks for its name', async (t) => {
  const { client, scheduled } = await apiWith(t, ['db', 'web']);
  await t.rejects(client.scheduleKeyDeletion('app-db', 7), {
    code: 'CONFIRMATION_REQUIRED',
    message: 'key app-db is needed by 2 disks (volume db, volume web)',
    hint: /--confirm app-db/,
  });
  t.same(scheduled, []);
});

t.test('another name, and the id, are no confirmation', async (t) => {
  const { client, scheduled } = await apiWith(t, ['db']);
  for (const wrong of ['', 'APP-DB', 'app-db ', appKey.id]) {
    await t.rejects(client.scheduleKeyDeletion('app-db', 7, wrong), {
      code: 'CONFIRMATION_REQUIRED',
      message: `key app-db is needed by 1 disk (volume db); "${wrong}" is not its name`,
    });
  }
  t.same(scheduled, []);
});

t.test('the name confirms, also when the id asked', async (t) => {
  const { client, scheduled } = await apiWith(t, ['db']);
  await client.scheduleKeyDeletion(appKey.id, 30, 'app-db');
  t.same(scheduled, [30]);
});

t.test('many disks are not all listed', async (t) => {
  const { client } = await apiWith(t, ['a', 'b', 'c', 'd', 'e', 'f']);
  await t.rejects(client.scheduleKeyDeletion('app-db', 7), {
    message: /^key app-db is needed by 6 disks \(volume a, .*volume e, …\)$/,
  });
});
