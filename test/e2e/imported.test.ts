/**
 * What people bring is filesystems that others made: with blocks and sectors smaller than ours,
 * or with a partition table around them. The first are mounted, the second are named.
 */
import { mkdir, open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { command, must, startWorld } from '../support/world.js';

const mib = 2 ** 20;

const filesystems = [
  { name: 'xfs', mkfs: ['mkfs.xfs', '-q'], fsck: ['xfs_repair', '-n'] },
  { name: 'ext4', mkfs: ['mkfs.ext4', '-q', '-b', '1024'], fsck: ['e2fsck', '-fn'] },
] as const;

for (const { name, mkfs, fsck } of filesystems) {
  t.test(`an imported ${name} of small sectors is mounted`, async (t) => {
    const world = await startWorld(t);
    const file = join(world.directory, 'disk.raw');
    const directory = join(world.directory, 'mnt');
    await mkdir(directory);
    await writeFile(file, '');
    await truncate(file, 320 * mib);
    await must(mkfs[0], ...mkfs.slice(1), file);

    await world.keyvol('image', 'create', 'i', '--file', file);
    await world.keyvol('image', 'mount', 'i', directory);
    await t.rejects(writeFile(join(directory, 'x'), 'x'), { code: 'EROFS' });
    await world.keyvol('image', 'unmount', 'i');

    await world.keyvol('volume', 'create', 'v', '--file', file);
    await world.keyvol('volume', 'mount', 'v', directory);
    await writeFile(join(directory, 'x'), 'written', { flush: true });
    await world.keyvol('volume', 'unmount', 'v');
    await world.keyvol('volume', 'attach', 'v');
    const check = await command(fsck[0], ...fsck.slice(1), world.volumePath('v'));
    t.equal(check.status, 0, `${fsck[0]} finds nothing: ${check.stdout}${check.stderr}`);
  });
}

t.test('a partition table is not mounted, and not overwritten by --mkfs', async (t) => {
  const world = await startWorld(t);
  const file = join(world.directory, 'disk.raw');
  const directory = join(world.directory, 'mnt');
  await mkdir(directory);
  await writeFile(file, '');
  await truncate(file, 64 * mib);
  // One Linux partition from sector 2048 to the end: a boot record's first entry and its mark.
  const entry = Buffer.from('00000000830000000008000000f80100', 'hex');
  const disk = await open(file, 'r+');
  await disk.write(entry, 0, entry.length, 446);
  await disk.write(Buffer.from([0x55, 0xaa]), 0, 2, 510);
  await disk.close();

  await world.keyvol('volume', 'create', 'v', '--file', file);
  const refused = await world.try('volume', 'mount', 'v', directory);
  t.equal(refused.status, 6);
  t.match(refused.stderr, /volume v holds a dos partition table, not a filesystem/);
  const kept = await world.try('volume', 'mount', 'v', directory, '--mkfs', 'ext4');
  t.equal(kept.status, 6);
  t.match(kept.stderr, /volume v holds a dos partition table already/);
});
