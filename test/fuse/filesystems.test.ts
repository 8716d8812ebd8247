/**
 * Filesystems on a loop device on a FUSE file: the hardest users of discards, write-zeroes, flushes
 * and I/O smaller than a sector. Their own checkers judge.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { eventually, mountVolume, noFuse, run, runOk } from '../support/fuse.js';
import { MIB } from '../support/layers.js';

interface Filesystem {
  readonly name: string;
  readonly sizeBytes: number;
  readonly make: readonly string[];
  readonly check: readonly string[];
}

const filesystems: readonly Filesystem[] = [
  { name: 'ext4', sizeBytes: 128 * MIB, make: ['mkfs.ext4', '-q'], check: ['fsck.ext4', '-fn'] },
  { name: 'xfs', sizeBytes: 320 * MIB, make: ['mkfs.xfs', '-q'], check: ['xfs_repair', '-n'] },
  { name: 'btrfs', sizeBytes: 256 * MIB, make: ['mkfs.btrfs', '-q'], check: ['btrfs', 'check'] },
];

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const allocatedMib = async (path: string): Promise<number> =>
  Number(await runOk('stat', '-c', '%b', path)) / 2048;

for (const { name, sizeBytes, make, check } of filesystems) {
  void t.test(`${name} over FUSE stays clean and gives space back`, { skip: noFuse }, async (t) => {
    const { path, directory, layerPath, session } = await mountVolume(t, sizeBytes);
    const loop = await addon.attachLoop({ path, readOnly: false, sectorBytes: 4096 });
    t.teardown(() => addon.detachLoop(loop));
    t.match(
      await runOk('losetup', '-n', '-O', 'DIO,LOG-SEC', loop),
      /^\s*1\s+4096/,
      'direct I/O, 4096-byte sectors',
    );
    const [program = '', ...makeArgs] = make;
    await runOk(program, ...makeArgs, loop);

    const mountPoint = join(directory, 'mnt');
    mkdirSync(mountPoint);
    const mount = () =>
      addon.mountFilesystem({
        source: loop,
        directory: mountPoint,
        filesystem: name,
        readOnly: false,
        options: '',
      });
    await mount();
    t.teardown(() => run('umount', mountPoint));
    const big = randomBytes(48 * MIB + 123);
    await writeFile(join(mountPoint, 'big'), big);
    for (let i = 0; i < 200; i += 1)
      await writeFile(join(mountPoint, `f${i}`), randomBytes(i * 50));
    await addon.syncFilesystem(mountPoint);
    await addon.unmountFilesystem(mountPoint, false);

    const [checker = '', ...checkArgs] = check;
    await runOk(checker, ...checkArgs, loop);
    await mount();
    t.equal(digest(await readFile(join(mountPoint, 'big'))), digest(big), 'the file is whole');

    const before = await allocatedMib(layerPath);
    await runOk('rm', join(mountPoint, 'big'));
    // XFS frees what was deleted in its own time.
    let after = before;
    for (let tries = 0; tries < 50 && before - after <= 40; tries += 1) {
      await sleep(tries * 10);
      await addon.syncFilesystem(mountPoint);
      await runOk('fstrim', mountPoint);
      await addon.syncFilesystem(mountPoint);
      after = await allocatedMib(layerPath);
    }
    t.ok(before - after > 40, `fstrim gave back ${before - after} MiB`);
    t.ok((await statfs(mountPoint)).bfree > 0);

    await addon.freezeFilesystem(mountPoint, loop);
    await addon.thawFilesystem(mountPoint, loop);
    await addon.unmountFilesystem(mountPoint, false);
    await runOk(checker, ...checkArgs, loop);
    await addon.detachLoop(loop);
    t.ok(
      await eventually(() => session.openHandles('vol').own === 0),
      'a detached loop device lets go of the file',
    );
  });
}
