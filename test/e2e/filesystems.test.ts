/** What people put on a volume: ext4, XFS and btrfs, made, filled, unmounted and found clean. */
import { join } from 'node:path';
import t from 'tap';
import type { DiskView } from '../../dist/api/types.js';
import { copyRealFiles } from '../support/real-files.js';
import { command, must, startWorld } from '../support/world.js';

const mib = 2 ** 20;

const filesystems = [
  { name: 'ext4', fsck: ['e2fsck', '-fn'] },
  { name: 'xfs', fsck: ['xfs_repair', '-n'] },
  { name: 'btrfs', fsck: ['btrfs', 'check', '--readonly'] },
] as const;

for (const { name, fsck } of filesystems) {
  t.test(`${name} on a mounted volume is clean after unmount`, async (t) => {
    const world = await startWorld(t);
    const directory = await world.mountNew('v', '384M', name);
    await copyRealFiles(directory, 48 * mib);
    await world.keyvol('volume', 'unmount', 'v');

    await world.keyvol('volume', 'attach', 'v');
    const [program, ...options] = fsck;
    const check = await command(program, ...options, world.volumePath('v'));
    t.equal(check.status, 0, `${program} finds nothing: ${check.stdout}${check.stderr}`);
  });
}

t.test('fstrim gives deleted files back to the host', async (t) => {
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '384M', 'ext4');
  await copyRealFiles(join(directory, 'files'), 96 * mib);
  await must('sync', '-f', directory);
  const full = await world.json<DiskView>('volume', 'show', 'v');
  t.ok(full.used > 90 * mib, 'the files take space on the host');
  await must('rm', '-r', join(directory, 'files'));
  // ext4 trims what was freed only once the transaction that freed it has committed.
  await must('sync', '-f', directory);
  await must('fstrim', directory);
  const trimmed = await world.json<DiskView>('volume', 'show', 'v');
  t.ok(trimmed.used < 24 * mib, `after fstrim ${String(trimmed.used)} bytes are left`);
});

t.test('fstrim of a clone does not grow it beyond the data of its image', async (t) => {
  const world = await startWorld(t);
  const directory = await world.mountNew('v', '384M', 'ext4');
  await copyRealFiles(join(directory, 'files'), 48 * mib);
  await world.keyvol('image', 'create', 'golden', '--volume', 'v');
  await world.keyvol('volume', 'unmount', 'v');
  const image = await world.json<DiskView>('image', 'show', 'golden');

  await world.keyvol('volume', 'create', 'c', '--image', 'golden');
  await world.keyvol('volume', 'mount', 'c', directory);
  await must('rm', '-r', join(directory, 'files'));
  // ext4 trims what was freed only once the transaction that freed it has committed.
  await must('sync', '-f', directory);
  await must('fstrim', directory);
  await must('sync', '-f', directory);
  const clone = await world.json<DiskView>('volume', 'show', 'c');
  t.ok(
    clone.used <= image.used + image.shared + 4 * mib,
    `the clone holds ${String(clone.used)} bytes, its image ${String(image.used + image.shared)}`,
  );
  await world.keyvol('volume', 'unmount', 'c');
  await world.keyvol('volume', 'attach', 'c');
  t.equal((await command('e2fsck', '-fn', world.volumePath('c'))).status, 0, 'fsck is clean');
});
