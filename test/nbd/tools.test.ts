/**
 * What others' clients make of an export: QEMU's, libnbd's and fio's judge content, holes, odd
 * offsets, checksums under load, and many requests on many connections.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync, openSync, writeSync, ftruncateSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run, runOk } from '../support/fuse.js';
import { MIB } from '../support/layers.js';
import { serveDisk } from '../support/nbd.js';

const sizeBytes = 64 * MIB;

/** A raw file with data at its start, in its middle and at its end, and holes between. */
function sparseFile(directory: string): string {
  const path = join(directory, 'source.raw');
  const file = openSync(path, 'wx');
  ftruncateSync(file, sizeBytes);
  writeSync(file, randomBytes(3 * MIB + 4096), 0, undefined, 0);
  writeSync(file, randomBytes(MIB), 0, undefined, 20 * MIB);
  writeSync(file, randomBytes(8192), 0, undefined, sizeBytes - 8192);
  closeSync(file);
  return path;
}

const formats = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi', 'vpc'] as const;

for (const format of formats) {
  t.test(`qemu-img convert takes ${format} in and out, and finds it equal`, async (t) => {
    const { directory, uri } = await serveDisk(t, sizeBytes);
    const raw = sparseFile(directory);
    const source = join(directory, `source.${format}`);
    // Without its rounding to a geometry of cylinders, which would make the disk larger.
    const options = format === 'vpc' ? ['-o', 'force_size=on'] : [];
    if (format !== 'raw') await runOk('qemu-img', 'convert', '-O', format, ...options, raw, source);
    await runOk('qemu-img', 'convert', '-n', '-f', format, '-O', 'raw', source, uri);
    const inside = await runOk('qemu-img', 'compare', '-f', format, '-F', 'raw', source, uri);
    t.match(inside, 'Images are identical.');
    const out = join(directory, `out.${format}`);
    await runOk('qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, uri, out);
    const taken = await runOk('qemu-img', 'compare', '-f', 'raw', '-F', format, raw, out);
    t.match(taken, 'Images are identical.');
  });
}

t.test('nbdcopy takes it in and out, holes as holes', async (t) => {
  const { directory, device, uri } = await serveDisk(t, sizeBytes);
  const raw = sparseFile(directory);
  await runOk('nbdcopy', raw, uri);
  const usedBytes = device.stats().allocatedBytes;
  t.ok(usedBytes < 6 * MIB, `${String(usedBytes)} bytes are allocated`);
  const out = join(directory, 'out.raw');
  await runOk('nbdcopy', uri, out);
  t.match(await run('cmp', raw, out), { code: 0 });
});

t.test('nbdinfo shows where the data is', async (t) => {
  const { directory, uri } = await serveDisk(t, sizeBytes);
  await runOk('nbdcopy', sparseFile(directory), uri);
  const map = JSON.parse(await runOk('nbdinfo', '--map', '--json', uri)) as {
    offset: number;
    length: number;
    type: number;
  }[];
  const dataBytes = map
    .filter(({ type }) => type === 0)
    .map(({ offset, length }) => [offset, length]);
  t.same(dataBytes, [
    [0, 3 * MIB + 4096],
    [20 * MIB, MIB],
    [sizeBytes - 8192, 8192],
  ]);
  t.ok(map.every(({ type }) => type === 0 || type === 3));
  t.equal(
    map.reduce((sum, { length }) => sum + length, 0),
    sizeBytes,
  );
});

t.test('fio finds every block as it wrote it', async (t) => {
  const { directory, uri } = await serveDisk(t, sizeBytes);
  const { code, stdout, stderr } = await run(
    'fio',
    '--name=verify',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--rw=randrw',
    '--bsrange=512-1M',
    '--bs_unaligned',
    `--size=${String(sizeBytes)}`,
    '--iodepth=16',
    '--verify=crc32c',
    '--verify_fatal=1',
    '--verify_state_save=0',
    '--fsync=200',
    '--randrepeat=0',
    `--aux-path=${directory}`,
    '--output-format=json',
    `--output=${join(directory, 'fio.json')}`,
  );
  t.equal(code, 0, `${stdout}${stderr}`);
});

t.test('qemu-io finds its patterns at odd offsets', async (t) => {
  const { uri } = await serveDisk(t, sizeBytes);
  const steps = [
    'write -P 1 1 1',
    'write -P 2 511 1025',
    'write -P 3 4095 4098',
    'write -P 4 1048575 1048578',
    'write -f -P 5 8388607 1',
    'discard 12288 4096',
    'write -z 2097153 4095',
    'read -P 0 0 1',
    'read -P 1 1 1',
    'read -P 2 511 1025',
    'read -P 3 4095 4098',
    'read -P 4 1048575 1048578',
    'read -P 5 8388607 1',
    'read -P 0 12288 4096',
    'read -P 0 2097153 4095',
    'flush',
  ];
  const { code, stdout, stderr } = await run(
    'qemu-io',
    '-f',
    'raw',
    ...steps.flatMap((step) => ['-c', step]),
    uri,
  );
  t.equal(code, 0, stderr);
  t.notMatch(stdout + stderr, /failed|Pattern verification/i);
});

t.test('64 requests are under way on each of 4 connections', async (t) => {
  const { directory, uri } = await serveDisk(t, sizeBytes);
  const raw = join(directory, 'source.raw');
  writeFileSync(raw, randomBytes(sizeBytes));
  const many = ['--connections=4', '--requests=64', '--request-size=65536'];
  await runOk('nbdcopy', ...many, '--flush', raw, uri);
  const out = join(directory, 'out.raw');
  await runOk('nbdcopy', ...many, uri, out);
  t.match(await run('cmp', raw, out), { code: 0 });
});
