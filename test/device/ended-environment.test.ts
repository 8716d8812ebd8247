/**
 * Work on a thread of its own may outlive the JavaScript that asked for it, at the end of a worker
 * or of the process: its result is then for nobody, and must not touch what is gone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { MIB, newLayer } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const addonUrl = new URL('../../dist/device/index.js', import.meta.url).href;

// A worker whose hold is still waiting for a slow sync when the worker is ended.
const worker = (path: string): string => `
import { parentPort } from 'node:worker_threads';
import { addon } from ${JSON.stringify(addonUrl)};
const layer = { path: ${JSON.stringify(path)}, sizeBytes: ${MIB}, dataKey: addon.generateDataKey(), preallocated: false };
const device = await addon.openDevice({ layers: [layer], writable: true });
await device.write(Buffer.alloc(10, 1), 0);
addon.injectBlockFault('sync', { errno: 0, delayMs: 700 });
for (let i = 0; i < 20; i += 1) device.cutOff(5000).catch(() => {});
parentPort.postMessage('waiting');
`;

const program = (path: string): string => `
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
const url = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker(path))}));
const worker = new Worker(url);
await once(worker, 'message');
await worker.terminate();
setTimeout(() => process.exit(3), 1500);
`;

t.test('work that outlives its worker ends quietly', async (t) => {
  const { path } = newLayer(tempDirectory(t), MIB);
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(path)], {
    // Memory that was freed and is used all the same holds nothing of use.
    env: { ...process.env, NODE_OPTIONS: '', MALLOC_PERTURB_: '165' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.strictSame(await once(child, 'exit'), [3, null]);
});
