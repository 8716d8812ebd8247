// A raw file becomes an image with its bytes, padded to whole sectors; its holes stay holes; an
// abort or a lost key leaves nothing behind.
import t from 'tap';
import { randomBytes } from 'node:crypto';
import { truncateSync } from 'node:fs';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { caller, containerBytes, fingerprint, mib, newState, outcomeOf } from '../support/state.js';

t.test('raw import', { timeout: 120_000 }, async (t) => {
  const state = await newState(t);
  const { images, volumes } = state.disks;
  await state.keys.createKey({ alias: 'app' }, caller);
  const raw = join(state.runtimeDir, 'raw');
  const bytes = randomBytes(3 * mib + 1);
  await writeFile(raw, bytes);

  const progress: number[] = [];
  const onProgress = ({ doneBytes }: { doneBytes: number }): number => progress.push(doneBytes);
  const { disk, remarks } = await images.create({ name: 'i', file: raw }, caller, {
    onProgress: (step) => void onProgress(step),
  });
  t.equal(disk.record.sizeBytes, 3 * mib + 4096);
  t.same(remarks, ['padded by 4095 bytes to a multiple of 4096']);
  t.same(progress, [mib, 2 * mib, 3 * mib, 3 * mib + 1]);
  const { attachment } = await images.attach('i', {}, caller);
  const seen = await readFile(attachment?.path ?? '');
  t.ok(seen.subarray(0, bytes.length).equals(bytes), 'every byte is there');
  t.ok(seen.subarray(bytes.length).equals(Buffer.alloc(4095)), 'and zeros up to the end');

  const sparse = join(state.runtimeDir, 'sparse');
  await writeFile(sparse, Buffer.alloc(4096, 'x'));
  await truncate(sparse, 64 * mib);
  const before = containerBytes(state);
  await volumes.create({ name: 'sparse', file: sparse, sizeBytes: 128 * mib }, caller);
  t.ok(containerBytes(state) - before < 2 * mib, 'holes cost nothing');

  const unchanged = fingerprint(state);
  const abort = new AbortController();
  const aborted = images.create({ name: 'stopped', file: sparse }, caller, {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  t.equal(await outcomeOf(aborted), 'INTERRUPTED');
  t.equal(fingerprint(state), unchanged, 'an abort leaves nothing');

  const large = join(state.runtimeDir, 'large');
  await writeFile(large, Buffer.alloc(64 * mib, 'y'));
  // So slow that the key can be lost on the way.
  addon.injectBlockFault('write', { errno: 0, delayMs: 20, sticky: true });
  t.teardown(() => addon.clearBlockFaults());
  let disabled: Promise<unknown> | undefined;
  const lost = images.create({ name: 'lost', file: large, key: 'app' }, caller, {
    onProgress: () => {
      disabled ??= state.keys.disableKey('app', caller);
    },
  });
  t.equal(await outcomeOf(lost), 'KEY_DISABLED', 'it stops on the way');
  await disabled;
  t.equal(fingerprint(state), unchanged, 'a lost key leaves nothing');
});

t.test('what is a hole in the file is not read', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { images } = state.disks;
  const raw = join(state.runtimeDir, 'raw');
  const sizeBytes = 2 ** 40 + 512;
  const data = [
    [0, randomBytes(1)],
    [2 ** 35 - 7, randomBytes(20)],
    [2 ** 39 + 4096, randomBytes(3 * mib + 4096)],
    [sizeBytes - 100, randomBytes(100)],
  ] as const;
  const file = await open(raw, 'w');
  for (const [offsetBytes, bytes] of data) await file.write(bytes, 0, bytes.length, offsetBytes);
  await file.close();
  let steps = 0;
  await images.create({ name: 'i', file: raw }, caller, { onProgress: () => (steps += 1) });
  t.ok(steps < 12, `a tebibyte in ${String(steps)} steps`);
  const { attachment } = await images.attach('i', {}, caller);
  const disk = await open(attachment?.path ?? '');
  t.teardown(() => disk.close());
  for (const [offsetBytes, bytes] of data) {
    const wanted = Buffer.concat([
      Buffer.alloc(offsetBytes === 0 ? 0 : 99),
      bytes,
      Buffer.alloc(99),
    ]);
    const seen = Buffer.alloc(wanted.length);
    await disk.read(seen, 0, seen.length, Math.max(0, offsetBytes - 99));
    t.ok(seen.equals(wanted), `what lies at ${String(offsetBytes)}`);
  }
});

t.test('a file that becomes shorter meanwhile is refused', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { images } = state.disks;
  const raw = join(state.runtimeDir, 'raw');
  for (const [what, dataBytes] of [
    ['in its data', 64 * mib],
    ['in a hole', mib],
  ] as const) {
    await writeFile(raw, Buffer.alloc(dataBytes, 'y'));
    await truncate(raw, 128 * mib);
    const work = images.create({ name: 'i', file: raw }, caller, {
      onProgress: () => truncateSync(raw, mib),
    });
    await t.rejects(work, { code: 'IO_ERROR', message: /became shorter/ }, what);
  }
});
