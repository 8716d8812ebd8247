/** Unmounting ends the session even while programs have files on it open. */
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { exportVolume, noFuse } from '../support/fuse.js';
import { MIB, newLayer, openStack } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const fuseThreads = async (): Promise<number> => {
  const tasks = await readdir('/proc/self/task');
  const nameOf = (task: string): string => readFileSync(`/proc/self/task/${task}/comm`, 'utf8');
  return tasks.filter((task) => nameOf(task).startsWith('keyvol-fuse')).length;
};

void t.test('a busy mount is detached and its threads end', { skip: noFuse }, async (t) => {
  const directory = tempDirectory(t);
  const mountPoint = mkdtempSync(join(tmpdir(), 'keyvol-fuse-'));
  t.teardown(() => rmdirSync(mountPoint));
  const device = await openStack(t, [newLayer(directory, 4 * MIB)]);
  const session = await addon.mountFuse({ mountPoint, threads: 3, allowOther: false });
  session.serve();
  const path = exportVolume({ session, mountPoint, directory }, 'vol', device);
  const file = await open(path, 'r+');
  t.equal(await fuseThreads(), 3);

  await session.unmount();
  t.strictSame(await readdir(mountPoint), [], 'the directory underneath is back');
  await t.rejects(file.read(Buffer.alloc(1), 0, 1, 0), { code: 'ENOTCONN' });
  await t.rejects(file.close(), { code: 'ENOTCONN' }, 'nobody is left to tell of the close');
  t.equal(await fuseThreads(), 0);
  await session.unmount();
});

void t.test('a mount that cannot be made says why', { skip: noFuse }, async (t) => {
  const mountPoint = join(tempDirectory(t), 'missing');
  await t.rejects(addon.mountFuse({ mountPoint, threads: 2, allowOther: false }), {
    code: 'FILE_NOT_FOUND',
    message: new RegExp(mountPoint),
  });
  await t.rejects(addon.mountFuse({ mountPoint, threads: 0, allowOther: false }), {
    code: 'INVALID_ARGUMENT',
  });
});
