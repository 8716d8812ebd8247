// What qemu-img reads out of an image is what becomes of it here, whatever the format and its options.
import path from 'node:path';
import t from 'tap';
import { caller, newState } from '../support/state.js';
import { mib, patchyRaw, qemuImg, sha256ByQemu, sha256OfFile } from '../support/foreign.js';

/** The ending of the file, QEMU's name, and how the image is made. */
const kinds: readonly (readonly [string, string, ...string[]])[] = [
  ['qcow2', 'qcow2', '-o', 'compat=0.10'],
  ['qcow2', 'qcow2', '-o', 'compat=1.1,cluster_size=512'],
  ['qcow2', 'qcow2', '-o', 'cluster_size=2M,lazy_refcounts=on'],
  ['qcow2', 'qcow2', '-o', 'extended_l2=on,cluster_size=128k'],
  ['qcow2', 'qcow2', '-o', 'preallocation=metadata'],
  ['qcow2', 'qcow2', '-c'],
  ['qcow2', 'qcow2', '-c', '-o', 'compression_type=zstd'],
  ['qcow2', 'qcow'],
  ['vmdk', 'vmdk'],
  ['vmdk', 'vmdk', '-o', 'subformat=streamOptimized'],
  ['vhd', 'vpc', '-o', 'force_size=on'],
  ['vhd', 'vpc', '-o', 'subformat=fixed,force_size=on'],
  ['vhdx', 'vhdx'],
  ['vhdx', 'vhdx', '-o', 'subformat=fixed'],
  ['vdi', 'vdi'],
  ['vdi', 'vdi', '-o', 'static=on'],
];

t.test('every kind of image', { timeout: 120_000 }, async (t) => {
  const state = await newState(t);
  const { images } = state.disks;
  const raw = path.join(state.runtimeDir, 'raw');
  patchyRaw(raw, 12 * mib);
  for (const [index, [ending, driver, ...options]] of kinds.entries()) {
    const title = [driver, ...options].join(' ');
    const file = path.join(state.runtimeDir, `i${index}.${ending}`);
    qemuImg('convert', '-f', 'raw', '-O', driver, ...options, raw, file);
    const { disk } = await images.create({ name: `i${index}`, file }, caller);
    const wanted = await sha256ByQemu(file, driver);
    t.equal(disk.record.sourceSha256, wanted, `${title}: what was imported`);
    const { attachment } = await images.attach(`i${index}`, {}, caller);
    t.equal(sha256OfFile(attachment?.path ?? ''), wanted, `${title}: what it reads as`);
    t.ok(disk.usedBytes < 8 * mib, `${title}: holes stay holes`);
    await images.detach(`i${index}`, {}, caller);
  }
});

t.test('snapshots inside an image are not imported, which is said', async (t) => {
  const state = await newState(t);
  const file = path.join(state.runtimeDir, 'i.qcow2');
  qemuImg('create', '-f', 'qcow2', file, '4M');
  qemuImg('snapshot', '-c', 'before', file);
  const { remarks } = await state.disks.volumes.create({ name: 'v', file }, caller);
  t.same(remarks, ['the image has a snapshot inside, not imported: only what it holds now is']);
});
