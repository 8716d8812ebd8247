/**
 * A process that goes without unmounting leaves a mount that answers ENOTCONN, which a lazy
 * unmount clears; one that exits in the middle of requests does not crash.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { noFuse, run } from '../support/fuse.js';
import { MIB, newLayer } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const addonUrl = new URL('../../dist/device/index.js', import.meta.url).href;

// Serves a disk, says so, and exits by itself when its input ends.
const server = (mountPoint: string, layerPath: string): string => `
import { addon } from ${JSON.stringify(addonUrl)};
const layer = { path: ${JSON.stringify(layerPath)}, sizeBytes: ${8 * MIB},
  dataKey: addon.generateDataKey(), preallocated: false };
const device = await addon.openDevice({ layers: [layer], writable: true });
const session = await addon.mountFuse({ mountPoint: ${JSON.stringify(mountPoint)}, threads: 4, allowOther: true });
session.serve();
session.add({ id: 'v', directory: 'volumes', name: 'v', device, readOnly: false, cache: 'direct', uid: 0, gid: 0, mode: 0o600 });
process.stdout.write('ready');
process.stdin.on('end', () => process.exit(7)).resume();
`;

for (const way of ['kill', 'exit'] as const) {
  void t.test(
    `a server that dies by ${way} leaves a clearable mount`,
    { skip: noFuse },
    async (t) => {
      const directory = tempDirectory(t);
      const mountPoint = mkdtempSync(join(tmpdir(), 'keyvol-fuse-'));
      t.teardown(() => rmdirSync(mountPoint));
      t.teardown(() => run('umount', '-l', mountPoint));
      const source = server(mountPoint, newLayer(directory, 8 * MIB).path);
      const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      const path = join(mountPoint, 'volumes', 'v');
      const load = run('dd', 'if=/dev/zero', `of=${path}`, 'bs=64k', 'count=100000');
      await run('dd', `if=${path}`, 'of=/dev/null', 'bs=1M', 'count=8');

      if (way === 'kill') child.kill('SIGKILL');
      else child.stdin.end();
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
      t.strictSame(
        { code, signal },
        way === 'kill' ? { code: null, signal: 'SIGKILL' } : { code: 7, signal: null },
      );
      t.not((await load).code, 0, 'its users get an error, and do not hang');

      await t.rejects(stat(path), { code: 'ENOTCONN' });
      await addon.unmountFilesystem(mountPoint, true);
      const session = await addon.mountFuse({ mountPoint, threads: 1, allowOther: true });
      session.serve();
      t.equal(session.mountPoint, mountPoint, 'the directory can be mounted on again');
      await session.unmount();
    },
  );
}
