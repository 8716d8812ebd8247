/**
 * Requests that wait for a held disk may take all of libuv's few threads. What a daemon needs to
 * get out of that, and every other disk, must not queue behind them.
 */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { exportVolume, noFuse } from '../support/fuse.js';
import { MIB, newLayer, openStack } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

t.test('host calls do not queue behind requests that wait', { skip: noFuse }, async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)]);
  await device.hold();
  t.teardown(() => device.resume());
  const waiting = Array.from({ length: 8 }, () => device.read(Buffer.alloc(1), 0));

  const calls = async (): Promise<string> => {
    await addon.dropCaches();
    const mountPoint = mkdtempSync(join(tmpdir(), 'keyvol-fuse-'));
    const session = await addon.mountFuse({ mountPoint, threads: 1, allowOther: false });
    session.serve();
    exportVolume({ session, mountPoint, directory }, 'vol', device);
    await session.dropMappedPages('vol');
    await addon.syncFilesystem(directory);
    session.remove('vol');
    await session.unmount();
    rmdirSync(mountPoint);
    await t.rejects(addon.readContainerHeader(join(directory, 'missing')), {
      code: 'FILE_NOT_FOUND',
    });
    return 'done';
  };
  const late = new Promise<string>((resolve) => setTimeout(resolve, 15_000, 'late').unref());
  const done = calls();
  t.equal(await Promise.race([done, late]), 'done');
  device.resume();
  await Promise.all([done, ...waiting]);
});
