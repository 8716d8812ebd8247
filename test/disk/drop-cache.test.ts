/**
 * After a failed fsync the page cache shows data as clean that never reached the disk. It is dropped
 * when a layer is opened, whatever place it has then: a volume whose flush failed may have been
 * detached and frozen under a snapshot, or may be attached read-only.
 */
import t from 'tap';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readFileSync } from 'node:fs';
import type { DeviceLayer } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const noFincore = spawnSync('fincore', ['--version'], { stdio: 'ignore' }).status !== 0;
const skip = noFincore ? 'needs fincore of util-linux' : false;

function cachedBytes({ path }: DeviceLayer): number {
  return Number(execFileSync('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]));
}

/** Clean pages of all of the file are in the page cache, as after a failed sync. */
async function cachedLayer(t: Parameters<typeof openStack>[0]): Promise<DeviceLayer> {
  const layer = newLayer(tempDirectory(t), MIB);
  const device = await openStack(t, [layer]);
  await device.write(pattern(MIB, 1), 0);
  await device.close();
  const file = openSync(layer.path, 'r+');
  fsyncSync(file);
  closeSync(file);
  readFileSync(layer.path);
  return layer;
}

for (const [place, writable] of [
  ['the top', true],
  ['the top of a read-only disk', false],
  ['below the top', true],
] as const) {
  t.test(`the cache of a layer is dropped when it is opened as ${place}`, { skip }, async (t) => {
    const layer = await cachedLayer(t);
    t.ok(cachedBytes(layer) >= MIB, 'its data is in the page cache');
    const above = place === 'below the top' ? [newLayer(tempDirectory(t), MIB)] : [];
    await openStack(t, [...above, layer], writable);
    t.equal(cachedBytes(layer), 0);
  });
}
