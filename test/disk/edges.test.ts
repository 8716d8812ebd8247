/**
 * Off-by-one mistakes live where sectors, lock groups, request pieces and disks end: every range
 * that starts or ends within a byte of such an edge is written, zeroed and read.
 */
import t from 'tap';
import { KIB, MIB, newLayer, openStack, pattern, pushLayer, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 2 * MIB + 8 * KIB;
const edges = [0, 4 * KIB, 256 * KIB, MIB, 2 * MIB, sizeBytes];
const points = [...new Set(edges.flatMap((edge) => [edge - 1, edge, edge + 1]))].filter(
  (point) => point >= 0 && point <= sizeBytes,
);

const ranges = points.flatMap((from) =>
  points.filter((to) => to >= from).map((to) => ({ from, to })),
);

for (const layers of [1, 2]) {
  t.test(`ranges that end at an edge, give or take one byte, on ${layers} layers`, async (t) => {
    const directory = tempDirectory(t);
    const device = await openStack(t, [newLayer(directory, sizeBytes)]);
    const expected = pattern(sizeBytes, 3);
    await device.write(expected, 0);
    if (layers === 2) await pushLayer(device, directory);
    let different = 0;
    for (const [index, { from, to }] of ranges.entries()) {
      if (index % 3 === 0) {
        await device.discard(from, to - from);
        expected.fill(0, from, to);
      } else {
        const data = pattern(to - from, index);
        await device.write(data, from);
        data.copy(expected, from);
      }
      const start = Math.max(0, from - 5000);
      const end = Math.min(sizeBytes, to + 5000);
      const seen = await readAt(device, start, end - start);
      if (!seen.equals(expected.subarray(start, end))) different += 1;
    }
    t.equal(different, 0);
    t.ok((await readAt(device, 0, sizeBytes)).equals(expected));
  });
}

t.test('a range outside the disk is refused and does nothing', async (t) => {
  const device = await openStack(t, [newLayer(tempDirectory(t), sizeBytes)]);
  const before = pattern(4096, 1);
  await device.write(before, sizeBytes - 4096);
  for (const [offset, length] of [
    [sizeBytes - 1, 2],
    [sizeBytes, 1],
    [sizeBytes + 1, 0],
    [Number.MAX_SAFE_INTEGER, 1],
    [0, sizeBytes + 1],
  ] as const) {
    const refusal = { code: 'OUT_OF_RANGE' };
    await t.rejects(device.read(Buffer.alloc(length), offset), refusal);
    await t.rejects(device.write(Buffer.alloc(length), offset), refusal);
    await t.rejects(device.discard(offset, length), refusal);
    await t.rejects(device.writeZeroes(offset, length), refusal);
  }
  t.ok((await readAt(device, sizeBytes - 4096, 4096)).equals(before));
});
