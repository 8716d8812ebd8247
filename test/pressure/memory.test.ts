/**
 * The daemon may have 256 MiB, page cache of its containers included, and programs write far more
 * than that to files and filesystems: it must neither be killed nor lose anything, nor fail anyone.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { MemoryLimit, noMemoryLimit } from '../support/memory-limit.js';
import { isRoot, tempDirectory } from '../support/temp.js';
import { command } from '../support/world.js';

const megabytes = 2 ** 20;
const limitBytes = 256 * megabytes;
const volumes = 6;
const volumeMib = 128;

const skip = isRoot ? noMemoryLimit : 'mounting needs root';

/** Writes all of a file, without waiting for the disk until the end, reads it back, and compares. */
async function writeAndVerify(path: string): Promise<string> {
  const job = ['--name=fill', `--filename=${path}`, `--size=${String(volumeMib / 2)}M`];
  const how = ['--rw=randwrite', '--bsrange=4k-256k', '--ioengine=psync', '--end_fsync=1'];
  const verify = ['--verify=crc32c', '--verify_state_save=0', '--verify_fatal=1', '--loops=2'];
  const { status, stdout, stderr } = await command('fio', ...job, ...how, ...verify);
  return status === 0 ? '' : `${stdout}${stderr}`;
}

t.test('dirty pages beyond the memory that the daemon may have', { skip }, async (t) => {
  const parent = tempDirectory(t);
  const limit = new MemoryLimit(t, limitBytes);
  const daemon = await startDaemon(t);
  limit.add(daemon.pid);
  const { client } = daemon;
  const paths: string[] = [];
  for (let number = 0; number < volumes; number++) {
    const name = `v${String(number)}`;
    await client.createVolume({ name, size: volumeMib * megabytes });
    if (number % 2 === 0) {
      await client.attachVolume(name, {});
      paths.push(join(daemon.runtimeDir, 'disks', 'volumes', name));
    } else {
      const directory = join(parent, name);
      mkdirSync(directory);
      await client.mountVolume(name, { directory, mkfs: 'ext4' });
      paths.push(join(directory, 'file'));
    }
  }
  const failures = await Promise.all(paths.map(writeAndVerify));
  t.same(failures, new Array(volumes).fill(''), 'what was written is read');
  t.ok(limit.timesReached > 0, `the limit was reached ${String(limit.timesReached)} times`);
  t.equal(limit.kills, 0, 'nothing was killed for it');
  t.same((await client.status()).unwell, []);
  t.same(await daemon.stop(), { status: 0, signal: null });
});
