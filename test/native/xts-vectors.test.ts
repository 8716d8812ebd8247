// The cipher must be the standards' AES-256-XTS, by their own vectors (fixtures/vectors/README.md).
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { addon } from '../../dist/device/index.js';

interface Vector {
  readonly name: string;
  readonly key: Buffer;
  readonly tweak: Buffer;
  readonly plain: Buffer;
  readonly cipher: Buffer;
}

t.test('NIST CAVP: every vector encrypts and decrypts', (t) => {
  const vectors = nistVectors();
  t.equal(vectors.length, 160);
  for (const vector of vectors) checkVector(t, vector);
  t.end();
});

t.test('IEEE 1619: every vector encrypts and decrypts', (t) => {
  const vectors = ieeeVectors();
  t.equal(vectors.length, 5);
  for (const vector of vectors) checkVector(t, vector);
  t.end();
});

t.test('a data unit has 16 bytes to 16 MiB', (t) => {
  const [vector] = ieeeVectors();
  if (vector === undefined) throw new Error('no vectors');
  const { key, tweak } = vector;
  const unit = (lengthBytes: number) => () =>
    addon.xtsDataUnit(key, tweak, true, Buffer.alloc(lengthBytes)).length;
  const maxBytes = 16 * 1024 * 1024;
  for (const lengthBytes of [16, 17, maxBytes - 1, maxBytes]) {
    t.equal(unit(lengthBytes)(), lengthBytes);
  }
  for (const lengthBytes of [0, 1, 15, maxBytes + 1]) {
    t.throws(unit(lengthBytes), { code: 'INVALID_ARGUMENT' });
  }
  t.end();
});

t.test('a key that is no pair of different keys is refused both ways', (t) => {
  const equalHalves = Buffer.alloc(64, 7);
  const keys = [equalHalves, Buffer.alloc(64), Buffer.alloc(32, 1), Buffer.alloc(63, 1)];
  for (const key of keys) {
    for (const encrypt of [true, false]) {
      t.throws(() => addon.xtsDataUnit(key, Buffer.alloc(16), encrypt, Buffer.alloc(32)), {
        code: 'INVALID_ARGUMENT',
      });
    }
  }
  t.end();
});

function checkVector(t: Test, { name, key, tweak, plain, cipher }: Vector): void {
  t.ok(addon.xtsDataUnit(key, tweak, true, plain).equals(cipher), `${name} encrypts`);
  t.ok(addon.xtsDataUnit(key, tweak, false, cipher).equals(plain), `${name} decrypts`);
}

function nistVectors(): Vector[] {
  return blocksOf('nist-cavp-xts-aes-256.rsp', 'COUNT').map(({ field, number }) => ({
    name: `NIST ${number} (${field('COUNT')})`,
    key: hex(field('Key')),
    tweak: field('i') === '' ? sequenceTweak(field('DataUnitSeqNumber')) : hex(field('i')),
    plain: hex(field('PT')),
    cipher: hex(field('CT')),
  }));
}

function ieeeVectors(): Vector[] {
  return blocksOf('ieee-1619-xts-aes-256.vec', 'Key').map(({ field, number }) => ({
    name: `IEEE ${number + 10}`,
    key: hex(field('Key')),
    tweak: hex(field('Nonce')),
    plain: hex(field('In')),
    cipher: hex(field('Out')),
  }));
}

interface Block {
  readonly number: number;
  readonly field: (name: string) => string;
}

/** The blank-line separated `name = value` blocks that have a field `mark`. */
function blocksOf(file: string, mark: string): Block[] {
  const text = readFileSync(`fixtures/vectors/${file}`, 'utf8');
  return text
    .split(/\n\n+/)
    .map((block) => new Map([...block.matchAll(/^(\w+) = (.*)$/gm)].map(([, a, b]) => [a, b])))
    .filter((fields) => fields.has(mark))
    .map((fields, number) => ({ number, field: (name) => fields.get(name) ?? '' }));
}

function sequenceTweak(decimal: string): Buffer {
  const tweak = Buffer.alloc(16);
  tweak.writeBigUInt64LE(BigInt(decimal));
  return tweak;
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}
