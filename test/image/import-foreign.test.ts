// An import of a foreign image that is stopped, loses its key or cannot read on leaves nothing: no
// record, no container, no process.
import { execFileSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { mib, patchyRaw, qemuImg, sha256OfFile } from '../support/foreign.js';
import { caller, fingerprint, newState, outcomeOf, type State } from '../support/state.js';

/** Programs below this process. */
function children(): string {
  const ours = String(process.pid);
  const all = execFileSync('ps', ['-eo', 'ppid,comm'], { encoding: 'utf8' }).split('\n');
  return all
    .filter((line) => line.trim().startsWith(`${ours} `) && !line.endsWith(' ps'))
    .join(', ');
}

function makeImage(state: State): string {
  const file = join(state.runtimeDir, 'large.qcow2');
  patchyRaw(`${file}.raw`, 96 * mib);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', `${file}.raw`, file);
  return file;
}

t.test('a foreign import that does not end well', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { images } = state.disks;
  const file = makeImage(state);
  await state.keys.createKey({ alias: 'app' }, caller);
  const before = fingerprint(state);
  // So slow that something can happen on the way.
  addon.injectBlockFault('write', { errno: 0, delayMs: 20, sticky: true });
  t.teardown(() => addon.clearBlockFaults());

  const abort = new AbortController();
  const stopped = images.create({ name: 'i', file, key: 'app' }, caller, {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  t.equal(await outcomeOf(stopped), 'INTERRUPTED');
  t.equal(fingerprint(state), before, 'stopped: nothing is left');

  let disabled: Promise<unknown> | undefined;
  const lost = images.create({ name: 'i', file, key: 'app' }, caller, {
    onProgress: () => {
      disabled ??= state.keys.disableKey('app', caller);
    },
  });
  t.equal(await outcomeOf(lost), 'KEY_DISABLED');
  await disabled;
  t.equal(fingerprint(state), before, 'its key lost: nothing is left');
  await state.keys.enableKey('app', caller);

  const cut = images.create({ name: 'i', file, key: 'app' }, caller, {
    onProgress: () => truncateSync(file, mib),
  });
  t.equal(await outcomeOf(cut), 'IO_ERROR');
  t.equal(fingerprint(state), before, 'cut short meanwhile: nothing is left');
  t.equal(children(), '', 'no program is left');
});

t.test('one that is stopped while nothing answers', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const file = makeImage(state);
  const before = fingerprint(state);
  const abort = new AbortController();
  let isStill = false;
  const stuck = state.disks.images.create({ name: 'i', file }, caller, {
    signal: abort.signal,
    onProgress: () => {
      if (isStill) return;
      isStill = true;
      execFileSync('pkill', ['-STOP', '-P', readerParent(), 'qemu-nbd']);
      setTimeout(() => abort.abort(), 300);
    },
  });
  t.equal(await outcomeOf(stuck), 'INTERRUPTED');
  t.equal(fingerprint(state), before);
  t.equal(children(), '', 'no program is left');
});

/** Our only child, which confines the reader. */
function readerParent(): string {
  return execFileSync('pgrep', ['-P', String(process.pid), 'bwrap'], { encoding: 'utf8' }).trim();
}

t.test('a disk whose bytes are an image stays what it is', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { volumes, images, snapshots } = state.disks;
  const inner = join(state.runtimeDir, 'inner.img');
  qemuImg('create', '-u', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', inner, '1G');
  truncateSync(inner, mib);
  const wanted = sha256OfFile(inner);

  await volumes.create({ name: 'v', file: inner, format: 'raw' }, caller);
  const seen = async (): Promise<string> => {
    const { attachment } = await volumes.attach('v', {}, caller);
    const digest = sha256OfFile(attachment?.path ?? '');
    await volumes.detach('v', {}, caller);
    return digest;
  };
  t.equal(await seen(), wanted, 'as a volume');
  await snapshots.create('v@s', caller);
  await snapshots.rollback('v@s', caller);
  t.equal(await seen(), wanted, 'after a snapshot');
  const out = join(state.runtimeDir, 'out.raw');
  await volumes.export('v', { format: 'raw', file: out, plaintext: true }, caller);
  t.equal(sha256OfFile(out), wanted, 'exported');
  t.equal(await outcomeOf(images.create({ name: 'i', file: out }, caller)), 'INVALID_ARGUMENT');
  const { disk } = await images.create({ name: 'i', file: out, format: 'raw' }, caller);
  t.equal(disk.record.sourceSha256, wanted, 'imported again');
  t.equal(disk.record.sizeBytes, mib);
});
