// Nothing but the very bytes, key, purpose and context that were wrapped may unwrap, and the answer
// must not tell what was wrong.
import { createCipheriv } from 'node:crypto';
import t from 'tap';
import { Fault } from '../../dist/fault.js';
import { addon, type Secret, type WrapContext, type WrapPurpose } from '../../dist/device/index.js';

const keyId = '0f9b2c1d-7e64-4a8f-b3c5-d2e1f0a9b8c7';
const label = { keyId, keyVersion: 3, purpose: 'data-key' } as const;
const context = { layer: 'a', parent: 'b', size_bytes: '4096' };
const wrappingKey = addon.randomSecret(32);
const wrapped = addon.wrapKey(wrappingKey, addon.generateDataKey(), label, context);
const message = 'the wrapped key does not match its key or its context';

interface Attempt {
  readonly key?: Secret;
  readonly purpose?: WrapPurpose;
  readonly given?: WrapContext;
}

function refusal(
  bytes: Buffer,
  { key = wrappingKey, purpose = 'data-key', given = context }: Attempt = {},
): string {
  try {
    addon.unwrapKey(key, bytes, purpose, given).release();
  } catch (error) {
    return error instanceof Fault ? `${error.code}: ${error.message}` : String(error);
  }
  return 'it unwrapped';
}

t.test('a flipped bit anywhere is refused, always in the same words', (t) => {
  for (let offset = 0; offset < wrapped.length; offset += 1) {
    for (const bit of [0x01, 0x80]) {
      const edited = Buffer.from(wrapped);
      edited.writeUInt8(edited.readUInt8(offset) ^ bit, offset);
      t.equal(refusal(edited), `INTEGRITY_FAILED: ${message}`, `byte ${offset}`);
    }
  }
  t.end();
});

t.test('every length but the right one is refused', (t) => {
  for (let lengthBytes = 0; lengthBytes < wrapped.length; lengthBytes += 1) {
    t.equal(refusal(wrapped.subarray(0, lengthBytes)), `INTEGRITY_FAILED: ${message}`);
  }
  t.equal(refusal(Buffer.concat([wrapped, Buffer.alloc(1)])), `INTEGRITY_FAILED: ${message}`);
  t.end();
});

t.test('another context is refused', (t) => {
  const others: WrapContext[] = [
    {},
    { ...context, layer: 'b' },
    { ...context, parent: '' },
    { ...context, size_bytes: '8192' },
    { ...context, more: '' },
    { layer: 'a', parent: 'b' },
    // The lengths keep names and values apart.
    { layer: 'a', paren: 'tb', size_bytes: '4096' },
  ];
  for (const given of others) t.equal(refusal(wrapped, { given }), `INTEGRITY_FAILED: ${message}`);
  t.end();
});

t.test('another purpose and another key are refused', (t) => {
  t.equal(refusal(wrapped, { purpose: 'master-key' }), `INTEGRITY_FAILED: ${message}`);
  t.equal(refusal(wrapped, { key: addon.randomSecret(32) }), `INTEGRITY_FAILED: ${message}`);
  t.end();
});

t.test('a data key with equal halves is neither wrapped nor unwrapped', (t) => {
  const wrappingBytes = Buffer.alloc(32, 5);
  const key = addon.secretFromTestKey(wrappingBytes);
  const equalHalves = Buffer.alloc(64, 9);
  t.throws(() => addon.wrapKey(key, addon.secretFromTestKey(equalHalves), label, {}), {
    code: 'INVALID_ARGUMENT',
  });
  const sealed = sealElsewhere(wrappingBytes, equalHalves);
  t.equal(refusal(sealed, { key, given: {} }), `INTEGRITY_FAILED: ${message}`);
  const different = Buffer.concat([Buffer.alloc(32, 9), Buffer.alloc(32, 8)]);
  t.equal(refusal(sealElsewhere(wrappingBytes, different), { key, given: {} }), 'it unwrapped');
  t.end();
});

t.test('keys of a wrong length are refused before anything is done', (t) => {
  const cases = [
    [addon.randomSecret(31), addon.generateDataKey(), 'data-key'],
    [addon.randomSecret(33), addon.generateDataKey(), 'data-key'],
    [wrappingKey, addon.randomSecret(63), 'data-key'],
    [wrappingKey, addon.randomSecret(32), 'data-key'],
    [wrappingKey, addon.randomSecret(64), 'master-key'],
  ] as const;
  for (const [key, wrappedKey, purpose] of cases) {
    t.throws(() => addon.wrapKey(key, wrappedKey, { ...label, purpose }, context), {
      code: 'INVALID_ARGUMENT',
    });
  }
  t.match(refusal(wrapped, { key: addon.randomSecret(64) }), /^INVALID_ARGUMENT: /);
  t.end();
});

t.test('labels that are none are refused', (t) => {
  const key = addon.generateDataKey();
  const ids = ['', keyId.toUpperCase(), keyId.slice(1), `${keyId}0`, keyId.replace('-', '0')];
  for (const id of ids) {
    t.throws(() => addon.wrapKey(wrappingKey, key, { ...label, keyId: id }, {}), {
      code: 'INVALID_ARGUMENT',
    });
  }
  for (const keyVersion of [-1, 0.5, 2 ** 32, Number.NaN]) {
    t.throws(() => addon.wrapKey(wrappingKey, key, { ...label, keyVersion }, {}), {
      code: 'INVALID_ARGUMENT',
    });
  }
  t.throws(() => addon.readWrapLabel(wrapped.subarray(0, 23)), { code: 'INTEGRITY_FAILED' });
  t.throws(() => addon.readWrapLabel(Buffer.alloc(116)), { code: 'INTEGRITY_FAILED' });
  t.end();
});

/** A wrapped data key without a context, made by Node's own AES-GCM. */
function sealElsewhere(wrappingBytes: Buffer, key: Buffer): Buffer {
  const prefix = wrapped.subarray(0, 24);
  const nonce = Buffer.alloc(12, 1);
  const gcm = createCipheriv('aes-256-gcm', wrappingBytes, nonce).setAAD(prefix);
  return Buffer.concat([prefix, nonce, gcm.update(key), gcm.final(), gcm.getAuthTag()]);
}
