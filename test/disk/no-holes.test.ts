/**
 * Where the filesystem can neither punch holes nor zero ranges, discards write the zeros that mean
 * "never written", and a failure to write them is told.
 */
import { constants } from 'node:os';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { isZero, MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const { EOPNOTSUPP, ENOSPC } = constants.errno;
t.afterEach(() => addon.clearBlockFaults());

for (const preallocated of [false, true]) {
  t.test(`discards without holes, preallocated ${preallocated}`, async (t) => {
    const layer = { ...newLayer(tempDirectory(t), 4 * MIB), preallocated };
    const device = await openStack(t, [layer]);
    await device.write(pattern(3 * MIB, 1), 4096);
    for (const operation of ['punch-hole', 'zero-range'] as const) {
      addon.injectBlockFault(operation, { errno: EOPNOTSUPP, sticky: true });
    }
    await device.discard(MIB, MIB + 100);
    const expected = Buffer.concat([Buffer.alloc(4096), pattern(3 * MIB, 1)]);
    expected.fill(0, MIB, 2 * MIB + 100);
    t.ok((await readAt(device, 0, expected.length)).equals(expected));
    t.equal(await device.seekHole(4096), MIB, 'the discarded sectors are known to be absent');

    addon.injectBlockFault('write', { errno: ENOSPC });
    await t.rejects(device.discard(0, 16 * 4096), { code: 'NO_SPACE' });
    t.ok((await readAt(device, 0, expected.length)).equals(expected), 'a failure changes nothing');
    await device.discard(0, 4 * MIB);
    await device.close();
    const again = await openStack(t, [layer]);
    t.ok(isZero(await readAt(again, 0, 4 * MIB)), 'after reopening');
  });
}
