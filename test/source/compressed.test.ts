// A compressed raw disk becomes what it decompresses to, and nothing where it is damaged.
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { mib, patchyRaw, qemuImg, sha256OfFile, sha256OfSource } from '../support/foreign.js';
import { caller, containerBytes, newState } from '../support/state.js';

const programs = { gz: ['gzip', '-1k'], xz: ['xz', '-0k'], zst: ['zstd', '-qk'] } as const;

function compressed(file: string, ending: keyof typeof programs): string {
  const [program, options] = programs[ending];
  execFileSync(program, [options, file]);
  return `${file}.${ending}`;
}

const endings = ['gz', 'xz', 'zst'] as const;

t.test('each compression', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const raw = path.join(state.runtimeDir, 'disk.raw');
  patchyRaw(raw, 6 * mib + 100);
  for (const ending of endings) {
    const file = compressed(raw, ending);
    const before = containerBytes(state);
    const { disk, remarks } = await state.disks.images.create({ name: ending, file }, caller);
    t.equal(disk.record.sourceSha256, sha256OfFile(raw), ending);
    t.equal(disk.record.sizeBytes, 6 * mib + 4096);
    t.same(remarks, ['padded by 3996 bytes to a multiple of 4096']);
    t.ok(containerBytes(state) - before < 4 * mib, 'zeros are not written');
  }
});

t.test('what is damaged', { timeout: 60_000 }, async (t) => {
  const raw = path.join(t.testdir(), 'disk.raw');
  patchyRaw(raw, 6 * mib);
  for (const ending of endings) {
    const file = compressed(raw, ending);
    const good = readFileSync(file);
    const changed = Buffer.from(good);
    changed.writeUInt8(changed.readUInt8(mib) ^ 1, mib);
    writeFileSync(file, changed);
    await t.rejects(sha256OfSource(file), { code: 'INVALID_ARGUMENT' }, `${ending}, a bit changed`);
    writeFileSync(file, good);
    truncateSync(file, mib);
    await t.rejects(sha256OfSource(file), { code: 'INVALID_ARGUMENT' }, `${ending}, cut short`);
    writeFileSync(file, '');
    await t.rejects(sha256OfSource(file), { code: 'INVALID_SIZE' }, `${ending}, empty`);
  }
});

t.test('what is inside is looked at, too', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir();
  const image = path.join(directory, 'disk.qcow2');
  qemuImg('create', '-f', 'qcow2', image, '1M');
  await t.rejects(sha256OfSource(compressed(image, 'xz')), {
    code: 'UNSUPPORTED',
    message: /a qcow2 image that is compressed/,
    hint: `decompress it first: xz -dk ${image}.xz`,
  });
  const hidden = path.join(directory, 'disk.img');
  writeFileSync(hidden, readFileSync(image));
  const file = compressed(hidden, 'gz');
  await t.rejects(sha256OfSource(file), { code: 'INVALID_ARGUMENT', message: /is a qcow2 image/ });
  t.equal(await sha256OfSource(file, 'raw'), sha256OfFile(hidden), 'said to be raw it is taken');
  const twice = `${file}.gz`;
  writeFileSync(twice, readFileSync(file));
  await t.rejects(sha256OfSource(twice), { code: 'UNSUPPORTED', message: /compressed twice/ });
});
