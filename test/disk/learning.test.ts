/**
 * A disk that is opened asks its container where data ends. Some filesystems walk through all of the
 * data to tell, so that it must be asked a few times, and not for each 256 KiB that are read: then
 * the first reads of 512 MiB on tmpfs had taken 6.5 s.
 */
import t from 'tap';
import { MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { callsDuring } from '../support/strace.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 192 * MIB;

t.test('reading all of a disk asks a few times where its data ends', async (t) => {
  const layer = newLayer(tempDirectory(t), sizeBytes);
  const device = await openStack(t, [layer]);
  const data = pattern(MIB, 1);
  for (let offset = 0; offset < sizeBytes; offset += MIB) {
    // Encrypted where it lies.
    await device.write(Buffer.from(data), offset);
  }
  await device.close();
  const again = await openStack(t, [layer]);
  let differing = 0;
  const calls = await callsDuring(process.pid, 'lseek', async () => {
    for (let offset = 0; offset < sizeBytes; offset += MIB) {
      if (!(await readAt(again, offset, MIB)).equals(data)) differing += 1;
    }
  });
  t.equal(differing, 0);
  const asked = calls.filter((call) => call.includes('SEEK_HOLE')).length;
  t.ok(asked >= 1 && asked <= 8, `${asked} times`);
});

t.test(
  'what was taken for data and is discarded reads as zeros, and is asked for no more',
  async (t) => {
    const layer = newLayer(tempDirectory(t), 8 * MIB);
    const device = await openStack(t, [layer]);
    for (let offset = 0; offset < 8 * MIB; offset += MIB)
      await device.write(pattern(MIB, 1), offset);
    await device.close();
    const again = await openStack(t, [layer]);
    await readAt(again, 0, 4096);
    await again.discard(MIB, 4 * MIB);
    t.ok((await readAt(again, MIB, 4 * MIB)).equals(Buffer.alloc(4 * MIB)));
    t.ok((await readAt(again, 5 * MIB, MIB)).equals(pattern(MIB, 1)));
    t.equal(await again.seekHole(0), MIB);
    t.equal(await again.seekData(MIB), 5 * MIB);
  },
);
