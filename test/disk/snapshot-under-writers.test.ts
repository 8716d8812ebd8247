/**
 * A snapshot of a live disk holds the writers for a moment. Whatever was acknowledged before is in
 * the snapshot, nothing that comes after is, and no writer loses a byte.
 */
import t from 'tap';
import type { Device, DeviceLayer } from '../../dist/device/index.js';
import { KIB, MIB, newLayer, openStack, pushLayer, readAt } from '../support/layers.js';
import { tempDirectory } from '../support/temp.js';

const writers = 6;
const regionBytes = 24 * KIB;
// Not a multiple of the sector: neighbours share sectors, and each write is read-modify-write.
const blockBytes = 10_000;
const offsetOf = (writer: number): number => 777 + writer * regionBytes;

/** Writes its number over and over; `done` is the last one acknowledged, `begun` the last issued. */
class Writer {
  begun = 0;
  done = 0;
  #stopped = false;

  constructor(
    private readonly device: Device,
    private readonly index: number,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      this.begun += 1;
      const block = Buffer.alloc(blockBytes);
      for (let i = 0; i + 4 <= blockBytes; i += 4) block.writeUInt32LE(this.begun, i);
      await this.device.write(block, offsetOf(this.index));
      this.done = this.begun;
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** The number the writer's block consists of; undefined when it is torn. */
async function numberSeen(device: Device, writer: number): Promise<number | undefined> {
  const block = await readAt(device, offsetOf(writer), blockBytes);
  const number = block.readUInt32LE(0);
  for (let i = 0; i + 4 <= blockBytes; i += 4) {
    if (block.readUInt32LE(i) !== number) return undefined;
  }
  return number;
}

t.test('snapshots under concurrent writers hold what was acknowledged', async (t) => {
  const directory = tempDirectory(t);
  let layers: readonly DeviceLayer[] = [newLayer(directory, MIB)];
  const device = await openStack(t, layers);
  const all = Array.from({ length: writers }, (_, index) => new Writer(device, index));
  const running = all.map((writer) => writer.run());
  const wrong: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    const acknowledged = all.map((writer) => writer.done);
    const image = layers;
    layers = [await pushLayer(device, directory), ...layers];
    const begun = all.map((writer) => writer.begun);
    const snapshot = await openStack(t, image, false);
    for (const [index, least] of acknowledged.entries()) {
      const seen = await numberSeen(snapshot, index);
      if (seen === undefined || seen < least || seen > (begun[index] ?? 0)) {
        wrong.push(`round ${round}, writer ${index}: ${seen}, acknowledged ${least}`);
      }
    }
    await snapshot.close();
  }
  for (const writer of all) writer.stop();
  await Promise.all(running);
  t.same(wrong, []);
  for (const [index, writer] of all.entries()) {
    t.equal(await numberSeen(device, index), writer.done, `writer ${index} lost nothing`);
  }
});

t.test('a layer can be swapped only while the disk is held', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)]);
  const layer = newLayer(directory, MIB);
  const refused = { code: 'BUSY' };
  await t.rejects(device.stageTop(layer), refused);
  await device.hold();
  await t.rejects(device.hold(), refused);
  t.equal(device.stats().gate, 'held');
  t.throws(() => device.swapTop(), refused, 'none is staged');
  await device.stageTop(layer);
  device.swapTop();
  t.throws(() => device.swapTop(), refused, 'it is no longer staged');
  device.resume();
  t.equal(device.stats().gate, 'open');
  t.equal(device.stats().layers, 2);
  await t.rejects(device.stageTop(layer), refused);
});

t.test('a staged layer that is not swapped in is forgotten', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)]);
  await device.hold();
  await device.stageTop(newLayer(directory, MIB));
  device.resume();
  await device.hold();
  t.throws(() => device.swapTop(), { code: 'BUSY' });
  device.resume();
  t.equal(device.stats().layers, 1);
});

t.test('requests wait while the disk is held, however many there are', async (t) => {
  const directory = tempDirectory(t);
  const device = await openStack(t, [newLayer(directory, MIB)]);
  await device.hold();
  let answered = 0;
  const waiting = Array.from({ length: 12 }, async (_, index) => {
    await device.write(Buffer.from([index]), index);
    answered += 1;
  });
  // Staging must not need a thread that a waiting request occupies.
  await device.stageTop(newLayer(directory, MIB));
  device.swapTop();
  t.equal(answered, 0);
  device.resume();
  await Promise.all(waiting);
  t.same([...(await readAt(device, 0, 12))], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});
