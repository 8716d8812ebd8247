// A record that could be changed, or whose text could forge a line, would prove nothing.
import { join } from 'node:path';
import t from 'tap';
import { auditMigration, auditStatement, listAudit } from '../../dist/audit/audit.js';
import { openStore } from '../../dist/store/open.js';
import { tempDirectory } from '../support/temp.js';
import type { AuditRecord } from '../../dist/audit/audit.js';
import type { Store } from '../../dist/store/store.js';
import type { Teardown } from '../support/temp.js';

const record: AuditRecord = {
  timeMs: 1,
  principal: 'uid 0',
  action: 'attachVolume',
  resource: 'db',
  result: 'allowed',
  detail: '',
};

async function open(t: Teardown): Promise<Store> {
  const path = join(tempDirectory(t), 'keys.db');
  const store = await openStore({ path, migrations: [auditMigration] });
  t.teardown(() => store.close());
  return store;
}

t.test('records can be added, not changed, deleted or replaced', async (t) => {
  const store = await open(t);
  await store.commit([auditStatement(record)]);
  const before = listAudit(store);
  for (const sql of [
    `UPDATE audit SET principal = 'nobody'`,
    'DELETE FROM audit',
    `INSERT OR REPLACE INTO audit VALUES (1, 2, 'x', 'x', 'x', 'allowed', '')`,
  ]) {
    await t.rejects(store.commit([{ sql, params: [] }]), { code: 'INTERNAL' }, sql);
  }
  t.same(listAudit(store), before);
});

t.test('a record shares the fate of the commit it is in', async (t) => {
  const store = await open(t);
  const fails = { sql: 'INSERT INTO nowhere VALUES (1)', params: [] };
  await t.rejects(store.commit([auditStatement(record), fails]), { code: 'STATE_DIR_UNUSABLE' });
  t.same(listAudit(store), []);
});

t.test('control and hidden characters are escaped, and text is cut', async (t) => {
  const store = await open(t);
  const resource = 'a\nb\u001b[31m\u202e\\ä';
  await store.commit([auditStatement({ ...record, resource, detail: 'x'.repeat(5000) })]);
  const [entry] = listAudit(store);
  t.equal(entry?.resource, 'a\\u{a}b\\u{1b}[31m\\u{202e}\\\\ä');
  t.equal(entry?.detail.length, 1024);
});

t.test('lists are oldest first, the newest without a start, the next after one', async (t) => {
  const store = await open(t);
  for (let n = 1; n <= 5; n++) await store.commit([auditStatement({ ...record, timeMs: n })]);
  const sequences = (query: Parameters<typeof listAudit>[1]): number[] =>
    listAudit(store, query).map(({ sequence }) => sequence);
  t.same(sequences({}), [1, 2, 3, 4, 5]);
  t.same(sequences({ limit: 2 }), [4, 5]);
  t.same(sequences({ sinceSequence: 1, limit: 2 }), [2, 3]);
  t.same(sequences({ sinceSequence: 5 }), []);
});
