// Whole sectors must be what another implementation makes of them, wherever on the disk they lie:
// the tweak is the sector's number times 8, in 128 bits, as dm-crypt and GRUB count.
import { createCipheriv, randomBytes, randomInt } from 'node:crypto';
import t, { type Test } from 'tap';
import { addon } from '../../dist/device/index.js';

const sectorBytes = 4096;
const runLengths = [1, 2, 7, 32];

t.test('runs of sectors are what OpenSSL makes of each sector', (t) => {
  for (const sectors of runLengths) {
    for (let round = 0; round < 25; round += 1) {
      const first = BigInt(randomInt(2 ** 40)) >> BigInt(randomInt(40));
      checkRun(t, first, sectors);
    }
  }
  t.end();
});

t.test('the tweak carries into its upper half instead of wrapping', (t) => {
  for (const first of [
    2n ** 40n,
    2n ** 60n,
    2n ** 61n - 3n,
    2n ** 61n,
    2n ** 63n,
    2n ** 64n - 7n,
  ]) {
    checkRun(t, first, 7);
  }
  t.end();
});

t.test('equal sectors at different places have different ciphertext', (t) => {
  const key = addon.generateDataKey();
  const cipher = addon.xtsSectors(key, 0n, true, Buffer.alloc(16 * sectorBytes));
  const sectors = Array.from({ length: 16 }, (_, i) => cipher.toString('hex', i * sectorBytes));
  t.equal(new Set(sectors).size, 16);
  key.release();
  t.end();
});

t.test('no sectors, part of one, and numbers beyond 64 bits', (t) => {
  const key = addon.generateDataKey();
  t.equal(addon.xtsSectors(key, 0n, true, Buffer.alloc(0)).length, 0);
  for (const lengthBytes of [1, sectorBytes - 1, sectorBytes + 1]) {
    t.throws(() => addon.xtsSectors(key, 0n, true, Buffer.alloc(lengthBytes)), {
      code: 'INVALID_ARGUMENT',
    });
  }
  for (const sector of [-1n, 2n ** 64n]) {
    t.throws(() => addon.xtsSectors(key, sector, true, Buffer.alloc(sectorBytes)), {
      code: 'INVALID_ARGUMENT',
    });
  }
  key.release();
  t.end();
});

t.test('a released key and one with equal halves are refused', (t) => {
  const released = addon.generateDataKey();
  released.release();
  for (const key of [released, addon.secretFromTestKey(Buffer.alloc(64, 3))]) {
    t.throws(() => addon.xtsSectors(key, 0n, true, Buffer.alloc(sectorBytes)), {
      code: 'INVALID_ARGUMENT',
    });
  }
  t.end();
});

function checkRun(t: Test, firstSector: bigint, sectors: number): void {
  const keyBytes = randomBytes(64);
  const plain = randomBytes(sectors * sectorBytes);
  const key = addon.secretFromTestKey(keyBytes);
  const cipher = addon.xtsSectors(key, firstSector, true, plain);
  const name = `${sectors} sectors from ${firstSector.toString()}`;
  t.ok(cipher.equals(opensslSectors(keyBytes, firstSector, plain)), name);
  t.ok(addon.xtsSectors(key, firstSector, false, cipher).equals(plain), `${name}, back`);
  key.release();
}

function opensslSectors(key: Buffer, firstSector: bigint, plain: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let offset = 0; offset < plain.length; offset += sectorBytes) {
    const cipher = createCipheriv(
      'aes-256-xts',
      key,
      tweakOf(firstSector + BigInt(offset / sectorBytes)),
    );
    parts.push(cipher.update(plain.subarray(offset, offset + sectorBytes)), cipher.final());
  }
  return Buffer.concat(parts);
}

function tweakOf(sector: bigint): Buffer {
  const tweak = Buffer.alloc(16);
  tweak.writeBigUInt64LE((sector * 8n) & (2n ** 64n - 1n), 0);
  tweak.writeBigUInt64LE((sector * 8n) >> 64n, 8);
  return tweak;
}
