// A raw file becomes an image with its bytes, padded to whole sectors; its holes stay holes; an
// abort or a lost key leaves nothing behind.
import t from 'tap';
import { randomBytes } from 'node:crypto';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  const file = await open(large, 'w');
  await file.write(Buffer.alloc(mib, 'y'), 0, mib, 0);
  await file.close();
  await truncate(large, 2 ** 36);
  let disabled: Promise<unknown> | undefined;
  const lost = images.create({ name: 'lost', file: large, key: 'app' }, caller, {
    onProgress: () => {
      disabled ??= state.keys.disableKey('app', caller);
    },
  });
  t.equal(await outcomeOf(lost), 'KEY_DISABLED', 'it stops long before 64 GiB are read');
  await disabled;
  t.equal(fingerprint(state), unchanged, 'a lost key leaves nothing');
});
