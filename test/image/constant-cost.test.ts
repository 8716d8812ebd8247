// Image and clone are O(1): of a volume of 1 TiB they cost a header each, whatever it holds, and
// also while it is written; what was flushed before stands in the image.
import t from 'tap';
import { open } from 'node:fs/promises';
import { caller, containerBytes, mib, newState } from '../support/state.js';

t.test('an image and a clone of 1 TiB under writers', { timeout: 120_000 }, async (t) => {
  const state = await newState(t);
  const { volumes, images } = state.disks;
  await volumes.create({ name: 'big', sizeBytes: 2 ** 40 }, caller);
  const { attachment } = await volumes.attach('big', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  for (let at = 0; at < 64; at++) await file.write(Buffer.alloc(mib, 'd'), 0, mib, at * 2 ** 33);
  await file.sync();

  const before = containerBytes(state);
  await images.create({ name: 'first', volume: 'big' }, caller);
  await volumes.clone('big', 'clone', caller);
  t.ok(containerBytes(state) - before < 3 * mib, 'less than 3 MiB of new disk');

  // Two writers count upwards in one sector each; every image must hold values of its moment.
  let running = true;
  const values = [0, 0];
  const writers = [0, 1].map(async (writer) => {
    const block = Buffer.alloc(4096);
    while (running) {
      const next = (values[writer] ?? 0) + 1;
      block.writeUInt32LE(next);
      await file.write(block, 0, 4096, mib * (writer + 2) + writer * 2 ** 34);
      values[writer] = next;
    }
  });
  for (let round = 0; round < 5; round++) {
    const low = [...values];
    await images.create({ name: `live${round}`, volume: 'big' }, caller);
    const high = values.map((value) => value + 1);
    const image = (await images.attach(`live${round}`, {}, caller)).attachment?.path ?? '';
    const reader = await open(image, 'r');
    for (const writer of [0, 1]) {
      const at = mib * (writer + 2) + writer * 2 ** 34;
      const { buffer } = await reader.read(Buffer.alloc(4), 0, 4, at);
      const value = buffer.readUInt32LE();
      const fits = value >= (low[writer] ?? 0) && value <= (high[writer] ?? 0);
      t.ok(fits, `round ${round}: ${low[writer]} <= ${value} <= ${high[writer]}`);
    }
    const { buffer } = await reader.read(Buffer.alloc(mib), 0, mib, 63 * 2 ** 33);
    t.ok(buffer.equals(Buffer.alloc(mib, 'd')), 'what was written before is there');
    await reader.close();
    await images.detach(`live${round}`, {}, caller);
  }
  running = false;
  await Promise.all(writers);
  await file.close();
});
