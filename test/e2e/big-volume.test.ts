/**
 * Images and clones of a 1 TiB volume cost nothing but a header, writers of two clones do not
 * meet, and no two containers ever hold the same ciphertext: every layer has a data key of its own.
 */
import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { must, startWorld, type World } from '../support/world.js';

const mib = 2 ** 20;
const gib = 2 ** 30;
const headerBytes = mib;
const sectorBytes = 4096;

async function writtenBytes(world: World): Promise<number> {
  const names = await readdir(world.layersPath());
  const sizes = await Promise.all(names.map((name) => stat(join(world.layersPath(), name))));
  return sizes.reduce((sum, { blocks }) => sum + blocks * 512, 0);
}

async function writeAt(path: string, offsetBytes: number, text: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(2 * sectorBytes, text), 0, 2 * sectorBytes, offsetBytes);
  await file.sync();
  await file.close();
}

async function readAt(path: string, offsetBytes: number): Promise<string> {
  const file = await open(path, 'r');
  const { buffer } = await file.read(
    Buffer.alloc(2 * sectorBytes),
    0,
    2 * sectorBytes,
    offsetBytes,
  );
  await file.close();
  return buffer.toString();
}

/** Hashes of the written sectors in the first 1 GiB of a container's data. */
async function sectorHashes(path: string): Promise<string[]> {
  const file = await open(path, 'r');
  const zeros = Buffer.alloc(sectorBytes);
  const chunk = Buffer.alloc(mib);
  const hashes: string[] = [];
  for (let offsetBytes = 0; offsetBytes < gib; offsetBytes += mib) {
    await file.read(chunk, 0, mib, headerBytes + offsetBytes);
    for (let at = 0; at < mib; at += sectorBytes) {
      const sector = chunk.subarray(at, at + sectorBytes);
      if (!sector.equals(zeros)) hashes.push(createHash('sha1').update(sector).digest('base64'));
    }
  }
  await file.close();
  return hashes;
}

t.test('an image and clones of a 1 TiB volume', async (t) => {
  const world = await startWorld(t);
  await world.keyvol('volume', 'create', 'v', '--size', '1T');
  await world.keyvol('volume', 'attach', 'v');
  const fio = ['--name=fill', '--rw=write', '--bs=1m', '--size=1g', '--end_fsync=1'];
  await must('fio', ...fio, `--filename=${world.volumePath('v')}`);

  const before = await writtenBytes(world);
  await world.keyvol('image', 'create', 'i', '--volume', 'v');
  const withImage = await writtenBytes(world);
  t.ok(withImage - before < 3 * mib, `the image took ${String(withImage - before)} bytes`);
  await world.keyvol('volume', 'create', 'a', '--image', 'i');
  const withClone = await writtenBytes(world);
  t.ok(withClone - withImage < 3 * mib, `the clone took ${String(withClone - withImage)} bytes`);
  await world.keyvol('volume', 'clone', 'v', 'b');
  t.ok((await writtenBytes(world)) - withClone < 2 * 3 * mib, 'and the clone of the volume');

  for (const name of ['a', 'b']) await world.keyvol('volume', 'attach', name);
  const offsetBytes = 512 * mib;
  const original = await readAt(world.volumePath('v'), offsetBytes);
  // The same text at the same place: only the data keys differ.
  for (const name of ['a', 'b']) await writeAt(world.volumePath(name), offsetBytes, 'same');
  await writeAt(world.volumePath('a'), offsetBytes + 4 * sectorBytes, 'only in a');
  t.equal(await readAt(world.volumePath('v'), offsetBytes), original, 'the source sees neither');
  const inB = await readAt(world.volumePath('b'), offsetBytes + 4 * sectorBytes);
  t.notMatch(inB, /only in a/, 'one clone does not see the other');
  await writeAt(world.volumePath('b'), 700 * gib, 'beyond the image');
  t.match(await readAt(world.volumePath('a'), 700 * gib), /^\0+$/, 'not even where none wrote');

  for (const name of ['v', 'a', 'b']) await world.keyvol('volume', 'detach', name);
  const seen = new Set<string>();
  let sectors = 0;
  for (const name of await readdir(world.layersPath())) {
    const hashes = await sectorHashes(join(world.layersPath(), name));
    sectors += hashes.length;
    for (const hash of hashes) seen.add(hash);
  }
  t.ok(sectors >= gib / sectorBytes, 'the written sectors are there');
  t.equal(seen.size, sectors, 'no ciphertext stands twice');
});
