/**
 * The one thing that writes a header again: a repair makes the bad copy from the good one. The good
 * copy and the data stay as they were, cryptsetup finds nothing left to do, and a repair that is cut
 * short anywhere leaves a container that opens and can be repaired.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { cryptsetup, newContainer, sha256Of } from '../support/containers.js';
import { damage, editCopies, editMetadata, headerCopyBytes } from '../support/luks-header.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

type Harm = (path: string, start: number) => void;

const which = (start: number) => (start === 0 ? 'first' : 'second');
const harms: Record<string, Harm> = {
  'a flipped magic': (path, start) => damage(path, start, Buffer.from('X')),
  'a flipped salt': (path, start) => damage(path, start + 110, Buffer.from('X')),
  'a flipped byte of JSON': (path, start) => damage(path, start + 4100, Buffer.from('X')),
  zeros: (path, start) => damage(path, start, Buffer.alloc(headerCopyBytes)),
  noise: (path, start) => damage(path, start, Buffer.alloc(headerCopyBytes, 0xa7)),
  'no JSON under a right checksum': (path, start) =>
    editCopies(path, (copy) => copy.write('X', 4096), which(start)),
  'an older sequence number': (path, start) =>
    editCopies(path, (copy) => copy.writeBigUInt64BE(1n, 16), which(start)),
};

/** Of the container but for one header copy. */
function allBut(path: string, start: number): Buffer {
  const bytes = readFileSync(path);
  return bytes.fill(0, start, start + headerCopyBytes);
}

for (const start of [0, headerCopyBytes]) {
  t.test(`a bad ${which(start)} copy is named, and repaired`, async (t) => {
    const directory = tempDirectory(t);
    const container = await newContainer(directory);
    const dump = cryptsetup(['luksDump', container.path]);
    const path = join(directory, 'damaged.luks');
    for (const [name, harm] of Object.entries(harms)) {
      copyFileSync(container.path, path);
      harm(path, start);
      const before = sha256Of(path);
      const found = await addon.checkContainerHeader(path);
      const state = name.startsWith('an older') ? 'outdated' : 'damaged';
      const good = which(headerCopyBytes - start);
      t.match(found, { [which(start)]: state, [good]: 'good', copiesDiffer: false }, name);
      t.equal(sha256Of(path), before, `${name}: a check changes nothing`);
      const kept = allBut(path, start);
      await addon.repairContainerHeader(path);
      t.ok(allBut(path, start).equals(kept), `${name}: only the bad copy is written`);
      t.match(await addon.checkContainerHeader(path), { first: 'good', second: 'good' });
      await addon.verifyContainerKey(path, container.dataKey);
      const repaired = sha256Of(path);
      t.equal(cryptsetup(['luksDump', path]), dump, `${name}: cryptsetup reads the same`);
      cryptsetup(['repair', '--batch-mode', path]);
      t.equal(sha256Of(path), repaired, `${name}: cryptsetup finds nothing to repair`);
      await addon.repairContainerHeader(path);
      t.equal(sha256Of(path), repaired, `${name}: a second repair does nothing`);
    }
  });
}

t.test('a repair that is cut short leaves what can be opened and repaired', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory);
  const path = join(directory, 'cut.luks');
  for (const start of [0, headerCopyBytes]) {
    copyFileSync(container.path, path);
    damage(path, start, Buffer.alloc(headerCopyBytes, 0xa7));
    const damaged = readFileSync(path).subarray(start, start + headerCopyBytes);
    await addon.repairContainerHeader(path);
    const mended = readFileSync(path).subarray(start, start + headerCopyBytes);
    // Its pieces reach the storage in any order.
    for (let piece = 0; piece < headerCopyBytes; piece += 512) {
      for (const [base, part] of [
        [damaged, mended],
        [mended, damaged],
      ] as const) {
        const torn = Buffer.from(base);
        part.copy(torn, piece, piece, piece + 512);
        damage(path, start, torn);
        await addon.verifyContainerKey(path, container.dataKey);
        await addon.repairContainerHeader(path);
        const { first, second } = await addon.checkContainerHeader(path);
        t.same([first, second], ['good', 'good'], `torn at ${piece}`);
      }
    }
  }
});

t.test('what cannot be repaired stays as it is', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory);
  const path = join(directory, 'bad.luks');
  const refuses = async (name: string, code: string, harm: () => void): Promise<void> => {
    copyFileSync(container.path, path);
    harm();
    const before = sha256Of(path);
    await t.rejects(addon.repairContainerHeader(path), { code }, name);
    t.equal(sha256Of(path), before, `${name}: unchanged`);
  };
  await refuses('two bad copies', 'HEADER_INVALID', () =>
    damage(path, 0, Buffer.alloc(2 * headerCopyBytes)),
  );
  await refuses('a bad copy beside a forged one', 'HEADER_INVALID', () => {
    editMetadata(path, (metadata) => (metadata.config.requirements = { mandatory: ['x'] }));
    damage(path, 0, Buffer.alloc(headerCopyBytes));
  });
  await t.rejects(addon.repairContainerHeader(join(directory, 'none')), { code: 'FILE_NOT_FOUND' });
});

t.test('a filesystem that cannot be written to', { skip: !isRoot && 'needs root' }, async (t) => {
  const directory = smallFilesystem(t, '8m');
  const { path } = await newContainer(directory);
  damage(path, 0, Buffer.alloc(headerCopyBytes));
  const before = sha256Of(path);
  execFileSync('mount', ['-o', 'remount,ro', directory]);
  t.match(await addon.checkContainerHeader(path), { first: 'damaged', second: 'good' });
  await t.rejects(addon.repairContainerHeader(path), { code: 'READ_ONLY' });
  t.equal(sha256Of(path), before);
});

t.test('two good copies that say different things are told, not repaired', async (t) => {
  const { path } = await newContainer(tempDirectory(t));
  editCopies(path, (copy) => copy.write('other', 24), 'second');
  const before = sha256Of(path);
  t.match(await addon.checkContainerHeader(path), {
    first: 'good',
    second: 'good',
    copiesDiffer: true,
  });
  await addon.repairContainerHeader(path);
  t.equal(sha256Of(path), before);
});

/** Every so many bits; of the padding and of unused space, which are all zeros, much fewer. */
const step = Number(process.env.KEYVOL_BIT_STEP ?? '19');

t.test('every flipped bit before the data is found', { timeout: 0 }, async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory);
  const original = readFileSync(container.path);
  const { path } = container;
  const unseen: string[] = [];
  let flips = 0;
  const dataStart = statSync(path).size - container.sizeBytes;
  for (let bit = 0; bit < dataStart * 8;) {
    const at = bit >> 3;
    damage(path, at, Buffer.from([(original[at] ?? 0) ^ (1 << (bit & 7))]));
    const { first, second, strayOffsetBytes } = await addon.checkContainerHeader(path);
    const copy = at < headerCopyBytes ? first : second;
    const found = at < 2 * headerCopyBytes ? copy === 'damaged' : strayOffsetBytes === at;
    if (!found) unseen.push(`bit ${bit}: ${first}, ${second}, ${String(strayOffsetBytes)}`);
    damage(path, at, original.subarray(at, at + 1));
    flips += 1;
    const isPadding = original[at] === 0 && step > 1;
    bit += at >= 2 * headerCopyBytes ? step * 997 : isPadding ? step * 31 : step;
  }
  t.same(unseen.slice(0, 20), [], `${unseen.length} of ${flips} flips not found`);
  t.ok(flips > 500 || step > 19, `${flips} flips`);
});
