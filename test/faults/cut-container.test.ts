/**
 * A container that is cut short, removed or replaced under its disk: what is gone must be an error.
 * Taken for "never written", it would read as zeros, or as the old data of the layer below; and
 * nothing is called durable that only an open descriptor still reaches.
 */
import { copyFileSync, readFileSync, renameSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import t from 'tap';
import { addon, type Device, type DeviceLayer } from '../../dist/device/index.js';
import { DATA_OFFSET_BYTES, MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';
import { tempDirectory, type Teardown } from '../support/temp.js';

const sizeBytes = 8 * MIB;
const half = sizeBytes / 2;
const old = pattern(sizeBytes, 1);
const fresh = pattern(sizeBytes, 2);
/** From the start of the half that is cut: groups, a part of one, a part of a sector, all of it. */
const cuts = [2 * MIB, 2 * MIB + 4096, 2 * MIB + 100, 4096, 1, 0, -1];

interface Pair {
  readonly top: DeviceLayer;
  readonly below: DeviceLayer;
  readonly device: Device;
}

/** All of the lower layer is written, and the upper half of the top. */
async function openPair(t: Teardown): Promise<Pair> {
  const directory = tempDirectory(t);
  const below = newLayer(directory, sizeBytes);
  const top = newLayer(directory, sizeBytes);
  for (const [layers, data, at] of [
    [[below], old, 0],
    [[top, below], fresh.subarray(half), half],
  ] as const) {
    const writer = await addon.openDevice({ layers, writable: true });
    await writer.write(data, at);
    await writer.close();
  }
  return { top, below, device: await openStack(t, [top, below]) };
}

interface Findings {
  wrong: number;
  refused: number;
}

async function readEach(device: Device): Promise<Findings> {
  const found = { wrong: 0, refused: 0 };
  for (let at = 0; at < sizeBytes; at += 4096) {
    const expected = (at < half ? old : fresh).subarray(at, at + 4096);
    try {
      if (!(await readAt(device, at, 4096)).equals(expected)) found.wrong += 1;
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('is truncated')) throw error;
      found.refused += 1;
    }
  }
  return found;
}

for (const which of ['top', 'below'] as const) {
  for (const warm of [false, true]) {
    t.test(
      `no zeros for what was cut off: ${which}, ${warm ? 'read before' : 'new'}`,
      async (t) => {
        for (const cut of cuts) {
          const pair = await openPair(t);
          if (warm) await readAt(pair.device, 0, sizeBytes);
          const firstHalfByte = which === 'top' ? half : 0;
          const keptBytes = firstHalfByte + cut;
          truncateSync(pair[which].path, DATA_OFFSET_BYTES + keptBytes);
          const { wrong, refused } = await readEach(pair.device);
          t.equal(wrong, 0, `cut at ${String(keptBytes)}`);
          const lost = (firstHalfByte + half - Math.floor(keptBytes / 4096) * 4096) / 4096;
          t.ok(refused >= Math.min(lost, half / 4096), `${String(refused)} sectors are refused`);
          await t.rejects(
            addon.openDevice({ layers: [pair.top, pair.below], writable: false }),
            { code: 'HEADER_INVALID', message: /is truncated/ },
            'nor is it opened again',
          );
        }
      },
    );
  }
}

t.test('what is cut off while it is read', async (t) => {
  const { device, top } = await openPair(t);
  const whole = readFileSync(top.path);
  let ended = false;
  const counts = { read: 0, refused: 0 };
  const reader = async (): Promise<void> => {
    for (let at = half; !ended; at = at + MIB < sizeBytes ? at + MIB : half) {
      try {
        const data = await readAt(device, at, MIB);
        if (!data.equals(fresh.subarray(at, at + MIB))) t.fail(`wrong data at ${String(at)}`);
        counts.read += 1;
      } catch (error) {
        if (!(error instanceof Error) || !error.message.includes('is truncated')) throw error;
        counts.refused += 1;
      }
    }
  };
  const readers = [reader(), reader(), reader()];
  const file = await open(top.path, 'r+');
  for (let round = 0; round < 100; round += 1) {
    const keptBytes = DATA_OFFSET_BYTES + half + (round % 4) * MIB + 100;
    await file.truncate(keptBytes);
    await file.write(whole, keptBytes, whole.length - keptBytes, keptBytes);
  }
  await file.close();
  ended = true;
  await Promise.all(readers);
  t.ok(counts.read > 0 && counts.refused > 0, JSON.stringify(counts));
});

t.test('a write does not make a cut container long again, over a gap of zeros', async (t) => {
  const { device, top } = await openPair(t);
  truncateSync(top.path, DATA_OFFSET_BYTES + half + MIB);
  const refusal = { code: 'IO_ERROR', message: /is truncated/ };
  await t.rejects(device.write(Buffer.alloc(4096, 7), sizeBytes - 4096), refusal);
  await t.rejects(device.write(Buffer.alloc(4096, 7), half + MIB - 2048), refusal);
  await t.rejects(device.write(Buffer.alloc(4096, 7), 0), refusal, 'not even where it is whole');
  await t.rejects(device.discard(half, 4096), refusal);
  t.equal(statSync(top.path).size, DATA_OFFSET_BYTES + half + MIB);
  t.equal((await readEach(device)).wrong, 0);
});

t.test('nothing is durable in a container that has lost its name', async (t) => {
  const { device, top } = await openPair(t);
  const away = `${top.path}.away`;
  const refusal = { code: 'IO_ERROR', message: /was removed or replaced/ };
  const stranger = newLayer(tempDirectory(t), sizeBytes).path;
  for (const lose of [() => undefined, () => copyFileSync(stranger, top.path)]) {
    renameSync(top.path, away);
    lose();
    await device.write(fresh.subarray(0, 4096), half);
    await t.rejects(device.flush(), refusal);
    await t.rejects(device.flush(), refusal, 'asking again does not help');
    t.equal(device.stats().poisoned, false, 'nothing is lost yet');
    t.ok((await readAt(device, half, 4096)).equals(fresh.subarray(0, 4096)), 'reads go on');
    renameSync(away, top.path);
    await device.flush();
  }
  renameSync(top.path, away);
  await device.write(fresh.subarray(0, 4096), half);
  await t.rejects(device.close(), refusal, 'the end says so, too');
});
