// Whole sectors must be what another implementation makes of them, whichever kernel does it and
// wherever on the disk they lie: the tweak is the sector's place in 512-byte units, in 128 bits, as
// dm-crypt and GRUB count. Nothing beside them may change.
import { createCipheriv, randomBytes, randomInt } from 'node:crypto';
import t from 'tap';
import { addon, type XtsKernel } from '../../dist/device/index.js';

const maxRun = 64;
const margin = 64;
/** Of random runs, for each kernel and each size of sector. */
const comparisons = 5000;
const { usable } = addon.xtsKernels();

interface Run {
  readonly kernel: XtsKernel;
  readonly sectorBytes: number;
  readonly firstSector: bigint;
  readonly sectors: number;
}

/** Around them a carry goes from one word of the tweak to the next, or out of the number. */
const corners = [0n, 2n ** 29n, 2n ** 32n, 2n ** 40n, 2n ** 61n, 2n ** 63n, 2n ** 64n - 64n];
const source = randomBytes(1 << 20);

for (const kernel of usable) {
  for (const sectorBytes of [512, 4096]) {
    t.test(`${kernel}, sectors of ${sectorBytes}: random runs are OpenSSL's`, (t) => {
      let equal = 0;
      for (let i = 0; i < comparisons; i += 1) {
        const sectors = 1 + (i % maxRun);
        if (isAsOpenSsl({ kernel, sectorBytes, firstSector: randomFirst(), sectors })) equal += 1;
      }
      t.equal(equal, comparisons);
      t.end();
    });

    t.test(`${kernel}, sectors of ${sectorBytes}: the tweak carries instead of wrapping`, (t) => {
      for (const corner of corners) {
        for (const firstSector of [corner, corner < 17n ? corner : corner - 17n]) {
          const run = { kernel, sectorBytes, firstSector, sectors: 34 };
          t.ok(isAsOpenSsl(run), `from ${firstSector.toString()}`);
        }
      }
      t.end();
    });
  }

  t.test(`${kernel}: equal sectors at different places have different ciphertext`, (t) => {
    const key = addon.generateDataKey();
    const data = Buffer.alloc(16 * 4096);
    addon.xtsSectors(key, { kernel, firstSector: 0n, encrypts: true }, data);
    const blocks = Array.from({ length: data.length / 16 }, (_, i) =>
      data.toString('hex', i * 16, i * 16 + 16),
    );
    t.equal(new Set(blocks).size, blocks.length);
    key.release();
    t.end();
  });
}

t.test('no sectors, part of one, numbers beyond 64 bits, and sizes that no sector has', (t) => {
  const key = addon.generateDataKey();
  const refuses = (run: object, lengthBytes: number) =>
    t.throws(
      () =>
        addon.xtsSectors(
          key,
          { firstSector: 0n, encrypts: true, ...run },
          Buffer.alloc(lengthBytes),
        ),
      { code: 'INVALID_ARGUMENT' },
    );
  addon.xtsSectors(key, { firstSector: 0n, encrypts: true }, Buffer.alloc(0));
  for (const lengthBytes of [1, 4095, 4097]) refuses({}, lengthBytes);
  for (const firstSector of [-1n, 2n ** 64n]) refuses({ firstSector }, 4096);
  for (const sectorBytes of [0, 256, 1024, 8192]) refuses({ sectorBytes }, 8192);
  key.release();
  t.end();
});

t.test('a released key and one with equal halves are refused', (t) => {
  const released = addon.generateDataKey();
  released.release();
  for (const key of [released, addon.secretFromTestKey(Buffer.alloc(64, 3))]) {
    t.throws(() => addon.xtsSectors(key, { firstSector: 0n, encrypts: true }, Buffer.alloc(4096)), {
      code: 'INVALID_ARGUMENT',
    });
  }
  t.end();
});

t.test('the chosen kernel is the fastest that works here', (t) => {
  const { chosen, failed } = addon.xtsKernels();
  t.equal(chosen, process.env.KEYVOL_XTS ?? usable[0]);
  t.same(failed, []);
  t.equal(usable.at(-1), 'openssl');
  t.end();
});

/** Encrypts random sectors at a random place in memory, and decrypts them again. */
function isAsOpenSsl({ kernel, sectorBytes, firstSector, sectors }: Run): boolean {
  const keyBytes = randomBytes(64);
  const key = addon.secretFromTestKey(keyBytes);
  const lengthBytes = sectors * sectorBytes;
  const from = randomInt(source.length - lengthBytes);
  const plain = source.subarray(from, from + lengthBytes);
  const memory = Buffer.alloc(lengthBytes + 2 * margin, 0xa5);
  const at = randomInt(margin);
  plain.copy(memory, at);
  const data = memory.subarray(at, at + lengthBytes);
  addon.xtsSectors(key, { kernel, sectorBytes, firstSector, encrypts: true }, data);
  const isSame = data.equals(openSslSectors(keyBytes, firstSector, sectorBytes, plain));
  addon.xtsSectors(key, { kernel, sectorBytes, firstSector, encrypts: false }, data);
  key.release();
  const around = Buffer.concat([memory.subarray(0, at), memory.subarray(at + lengthBytes)]);
  return isSame && data.equals(plain) && around.every((byte) => byte === 0xa5);
}

function openSslSectors(key: Buffer, first: bigint, sectorBytes: number, plain: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let offset = 0; offset < plain.length; offset += sectorBytes) {
    const place = (first * BigInt(sectorBytes)) / 512n + BigInt(offset / 512);
    const cipher = createCipheriv('aes-256-xts', key, tweakOf(place));
    parts.push(cipher.update(plain.subarray(offset, offset + sectorBytes)));
  }
  return Buffer.concat(parts);
}

function tweakOf(place: bigint): Buffer {
  const tweak = Buffer.alloc(16);
  tweak.writeBigUInt64LE(place & (2n ** 64n - 1n), 0);
  tweak.writeBigUInt64LE(place >> 64n, 8);
  return tweak;
}

/** Any number of bits is as likely as any other, up to where a run still fits. */
function randomFirst(): bigint {
  const bits = randomBytes(8).readBigUInt64LE() >> BigInt(randomInt(64));
  return bits > 2n ** 64n - 65n ? bits - 65n : bits;
}
