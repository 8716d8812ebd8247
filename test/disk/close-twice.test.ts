/**
 * Whoever closes a disk may at once attach it again elsewhere: close must not answer, to anybody,
 * before the last byte is written, nor call it written when it is not.
 */
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { MIB, newLayer, openStack, pattern } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

t.afterEach(() => addon.clearBlockFaults());

for (const errno of [0, 5]) {
  t.test(`two closes at once answer alike, sync error ${errno}`, async (t) => {
    const layer = newLayer(tempDirectory(t), MIB);
    const device = await openStack(t, [layer]);
    await device.write(pattern(100, 1), 0);
    addon.injectBlockFault('sync', { errno, delayMs: 300, pathContains: layer.path });
    const answered: string[] = [];
    const close = async (name: string) => {
      const result = await device.close().catch((error: unknown) => error);
      t.equal(device.stats().layers, 0, `all is closed when the ${name} answers`);
      answered.push(result instanceof Error ? 'failed' : 'closed');
    };
    await Promise.all([close('first'), close('second')]);
    await close('third');
    t.strictSame(answered, Array(3).fill(errno === 0 ? 'closed' : 'failed'));
  });
}
