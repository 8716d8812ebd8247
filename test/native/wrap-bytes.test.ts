// The bytes of a wrapped key are kept for ever: what was wrapped once must unwrap in every later
// version, and another implementation must be able to read it from the design alone.
import { createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon, type Secret } from '../../dist/device/index.js';
import { tempDirectory, type Teardown } from '../support/temp.js';

interface Golden {
  readonly wrapping_key: string;
  readonly data_key: string;
  readonly key_id: string;
  readonly key_version: number;
  readonly context: Record<string, string>;
  readonly additional_data: string;
  readonly wrapped: string;
}

// Our own fixture, written in exactly this shape.
const golden = JSON.parse(readFileSync('fixtures/vectors/wrapped-data-key.json', 'utf8')) as Golden;
const wrappingBytes = Buffer.from(golden.wrapping_key, 'hex');
const wrappingKey = addon.secretFromTestKey(wrappingBytes);
const label = {
  keyId: golden.key_id,
  keyVersion: golden.key_version,
  purpose: 'data-key',
} as const;

t.test('a key wrapped by an earlier version unwraps', (t) => {
  const wrapped = Buffer.from(golden.wrapped, 'hex');
  const key = addon.unwrapKey(wrappingKey, wrapped, 'data-key', golden.context);
  t.equal(bytesOf(t, key).toString('hex'), golden.data_key);
  t.same(addon.readWrapLabel(wrapped), label);
  t.end();
});

t.test('a new wrapping has the layout of the design, by an independent reader', (t) => {
  const dataKey = Buffer.from(golden.data_key, 'hex');
  const key = addon.secretFromTestKey(dataKey);
  const wrapped = addon.wrapKey(wrappingKey, key, label, golden.context);
  t.equal(wrapped.length, 24 + 12 + 64 + 16);
  t.equal(wrapped.toString('hex', 0, 24), golden.wrapped.slice(0, 48), 'the clear prefix');
  const gcm = createDecipheriv('aes-256-gcm', wrappingBytes, wrapped.subarray(24, 36));
  gcm.setAAD(Buffer.from(golden.additional_data, 'hex')).setAuthTag(wrapped.subarray(100));
  t.ok(Buffer.concat([gcm.update(wrapped.subarray(36, 100)), gcm.final()]).equals(dataKey));
  t.end();
});

t.test('the order in which a context is given does not matter', (t) => {
  const reversed = Object.fromEntries(Object.entries(golden.context).reverse());
  const wrapped = addon.wrapKey(wrappingKey, addon.generateDataKey(), label, reversed);
  t.equal(addon.unwrapKey(wrappingKey, wrapped, 'data-key', golden.context).lengthBytes, 64);
  t.end();
});

t.test('the same key never wraps to the same bytes twice', (t) => {
  const key = addon.generateDataKey();
  const nonces = Array.from({ length: 100 }, () =>
    addon.wrapKey(wrappingKey, key, label, {}).toString('hex', 24, 36),
  );
  t.equal(new Set(nonces).size, 100);
  t.end();
});

t.test('a master key wraps for its own purpose, with an empty context too', (t) => {
  const master = addon.randomSecret(32);
  const masterLabel = { ...label, keyVersion: 0xffffffff, purpose: 'master-key' } as const;
  const wrapped = addon.wrapKey(wrappingKey, master, masterLabel, {});
  t.same(addon.readWrapLabel(wrapped), masterLabel);
  const back = addon.unwrapKey(wrappingKey, wrapped, 'master-key', {});
  t.ok(bytesOf(t, back).equals(bytesOf(t, master)));
  t.end();
});

t.test('a context field has at most 65535 bytes', (t) => {
  const key = addon.generateDataKey();
  const context = (lengthBytes: number) => ({ field: 'x'.repeat(lengthBytes) });
  for (const lengthBytes of [0, 1, 65534, 65535]) {
    const wrapped = addon.wrapKey(wrappingKey, key, label, context(lengthBytes));
    addon.unwrapKey(wrappingKey, wrapped, 'data-key', context(lengthBytes)).release();
  }
  t.throws(() => addon.wrapKey(wrappingKey, key, label, context(65536)), {
    code: 'INVALID_ARGUMENT',
  });
  t.end();
});

/** A secret's bytes, through the one door that shows them: an export to a file. */
function bytesOf(t: Teardown, secret: Secret): Buffer {
  const path = join(tempDirectory(t), 'key');
  addon.exportKeyFile(secret, path);
  return readFileSync(path);
}
