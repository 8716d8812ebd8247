import { addon, type Secret } from '../../dist/device/index.js';

/** What the plain sectors, the first of which has the number 0, are on disk under the key. */
export function encrypted(key: Secret, plain: Buffer): Buffer {
  const data = Buffer.from(plain);
  addon.xtsSectors(key, { firstSector: 0n, encrypts: true }, data);
  return data;
}
