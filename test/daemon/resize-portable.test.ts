// The portable driver, too, shows a new size at once: what the kernel remembered of the old one would
// keep a loop device from growing.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { isRoot, tempDirectory } from '../support/temp.js';

const mib = 2 ** 20;
const skip = isRoot ? false : 'mounting needs root';

t.test('a volume of the portable driver becomes larger', { skip, timeout: 60_000 }, async (t) => {
  const directory = join(tempDirectory(t), 'mnt');
  mkdirSync(directory);
  const { client } = await startDaemon(t, { fuseDriver: 'portable' });
  await client.createVolume({ name: 'db', size: 16 * mib });
  const { attachment } = await client.attachVolume('db', {});
  const path = attachment?.path ?? '';
  t.equal(statSync(path).size, 16 * mib);
  await client.resizeVolume('db', { size: 32 * mib });
  t.equal((await stat(path)).size, 32 * mib);
  await client.mountVolume('db', { directory, mkfs: 'ext4' });
  t.equal((await stat(path)).size, 32 * mib);
  await client.resizeVolume('db', { size: 64 * mib });
  const find = ['--noheadings', '--output', 'SOURCE', directory];
  const loop = execFileSync('findmnt', find, { encoding: 'utf8' }).trim();
  const size = execFileSync('blockdev', ['--getsize64', loop], { encoding: 'utf8' });
  t.equal(Number(size), 64 * mib);
  await client.unmountVolume('db');
});
