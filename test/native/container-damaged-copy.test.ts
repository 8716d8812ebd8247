// LUKS2 keeps its header twice. One bad copy must not cost the data, and only an explicit repair
// may mend it: opening never writes.
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { newContainer, sha256Of } from '../support/containers.js';
import { damage, editCopies, headerCopyBytes } from '../support/luks-header.js';
import { tempDirectory } from '../support/temp.js';

/** Ways to lose one copy, given where it starts. */
const damages: Record<string, (path: string, start: number) => void> = {
  'a flipped magic': (path, start) => damage(path, start, Buffer.from('X')),
  'a flipped checksum': (path, start) => damage(path, start + 448, Buffer.from('X')),
  'a flipped byte of JSON': (path, start) => damage(path, start + 4100, Buffer.from('X')),
  'a flipped byte at its end': (path, start) =>
    damage(path, start + headerCopyBytes - 1, Buffer.from('X')),
  zeros: (path, start) => damage(path, start, Buffer.alloc(headerCopyBytes)),
  noise: (path, start) => damage(path, start, Buffer.alloc(headerCopyBytes, 0xa7)),
  // Not damaged but older, as after a crash between the two writes.
  'an older sequence number': (path, start) =>
    editCopies(path, (copy) => copy.writeBigUInt64BE(1n, 16), start === 0 ? 'first' : 'second'),
};

for (const [copyName, start] of [
  ['first', 0],
  ['second', headerCopyBytes],
] as const) {
  t.test(`a container with a bad ${copyName} copy opens from the other one`, async (t) => {
    const directory = tempDirectory(t);
    const container = await newContainer(directory);
    const whole = await addon.readContainerHeader(container.path);
    for (const [name, harm] of Object.entries(damages)) {
      const path = join(directory, 'damaged.luks');
      copyFileSync(container.path, path);
      harm(path, start);
      const before = sha256Of(path);
      t.same(await addon.readContainerHeader(path), { ...whole, damagedCopies: 1 }, name);
      await addon.verifyContainerKey(path, container.dataKey);
      t.equal(sha256Of(path), before, `${name}: unchanged`);
    }
  });
}

t.test('a foreign superblock over the first copy does not hide the second', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory, 4 * 1024 * 1024);
  const other = join(directory, 'ext4');
  execFileSync('truncate', ['-s', '8M', other]);
  execFileSync('mkfs.ext4', ['-q', other]);
  execFileSync('dd', [`if=${other}`, `of=${container.path}`, 'bs=4k', 'count=1', 'conv=notrunc'], {
    stdio: 'ignore',
  });
  const before = sha256Of(container.path);
  t.equal((await addon.readContainerHeader(container.path)).damagedCopies, 1);
  await addon.verifyContainerKey(container.path, container.dataKey);
  t.equal(sha256Of(container.path), before);
});
