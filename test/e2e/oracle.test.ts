/**
 * The bytes a user sees through FUSE are those that stock cryptsetup decrypts from the container:
 * our cipher, tweak and layout judged by a foreign reader over a whole disk of real files.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import t, { type Test } from 'tap';
import { copyRealFiles } from '../support/real-files.js';
import { command, must, startWorld, type World } from '../support/world.js';

const sizeBytes = 384 * 2 ** 20;
const realBytes = 256 * 2 ** 20;

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { end: sizeBytes - 1, highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** A volume `v`, detached, with an ext4 full of real files. */
async function makeFilledVolume(world: World): Promise<void> {
  const directory = await world.mountNew('v', String(sizeBytes), 'ext4');
  await copyRealFiles(directory, realBytes);
  await world.keyvol('volume', 'unmount', 'v');
}

async function seenThroughFuse(world: World): Promise<string> {
  await world.keyvol('volume', 'attach', 'v');
  const digest = await sha256(world.volumePath('v'));
  await world.keyvol('volume', 'detach', 'v');
  return digest;
}

async function decryptedByCryptsetup(directory: string, container: string, key: string) {
  const copy = join(directory, 'copy.luks');
  const passphrase = join(directory, 'passphrase');
  await copyFile(container, copy);
  await writeFile(passphrase, 'a test passphrase');
  const pbkdf = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  const volumeKey = ['--volume-key-file', key, '--key-size', '512'];
  await must('cryptsetup', 'luksAddKey', '-q', ...pbkdf, ...volumeKey, copy, passphrase);
  const header = ['--header', join(directory, 'exported.hdr')];
  const decrypt = ['reencrypt', '--decrypt', '-q', '--force-offline-reencrypt'];
  await must('cryptsetup', ...decrypt, ...header, '--key-file', passphrase, copy);
  return await sha256(copy);
}

async function checkKey(t: Test, container: string, key: string, other: string) {
  const open = ['open', '--test-passphrase', '--key-size', '512', '--volume-key-file'];
  t.equal((await command('cryptsetup', ...open, key, container)).status, 0, 'accepts the key');
  t.not((await command('cryptsetup', ...open, other, container)).status, 0, 'refuses another');
}

t.test('stock cryptsetup decrypts an exported container to what FUSE showed', async (t) => {
  const world = await startWorld(t);
  await makeFilledVolume(world);
  const expected = await seenThroughFuse(world);

  const key = join(world.directory, 'volume.key');
  const exported = await world.json<{ container: string }>(
    ...['volume', 'export-key', 'v', '--out', key],
  );
  t.equal((await readFile(key)).length, 64, 'the key file holds a 512-bit volume key');
  const other = join(world.directory, 'other.key');
  await writeFile(other, randomBytes(64));
  await checkKey(t, exported.container, key, other);

  t.equal(await seenThroughFuse(world), expected, 'exporting changed nothing that is seen');
  const digest = await decryptedByCryptsetup(world.directory, exported.container, key);
  t.equal(digest, expected, 'cryptsetup reads the same bytes');
});
