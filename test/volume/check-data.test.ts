/**
 * `check --read-data` reads everything that was written, goes on where the storage fails and says
 * where that is; it ends when it is stopped or its key is lost, and leaves nothing open.
 */
import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { addon } from '../../dist/device/index.js';
import type { CheckReport, DiskCheck } from '../../dist/volume/check-report.js';
import type { DiskProgress, LongCall } from '../../dist/volume/volumes.js';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';

const sector = 4096;
const readData = true;

async function write(
  state: State,
  pieces: readonly (readonly [offsetBytes: number, lengthBytes: number])[],
): Promise<void> {
  const { volumes } = state.disks;
  const { attachment } = await volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  for (const [offsetBytes, lengthBytes] of pieces) {
    await file.write(randomBytes(lengthBytes), 0, lengthBytes, offsetBytes);
  }
  await file.close();
  await volumes.detach('db', {}, caller);
}

async function newDisk(
  t: Test,
  sizeBytes: number,
): Promise<{ state: State; check: (call?: LongCall) => Promise<CheckReport> }> {
  const state = await newState(t);
  t.teardown(() => addon.clearBlockFaults());
  await state.keys.createKey({ alias: 'app' }, caller);
  await state.disks.volumes.create({ name: 'db', sizeBytes, key: 'app' }, caller);
  return { state, check: (call) => state.disks.volumes.check('db', { readData }, caller, call) };
}

t.test('everything that was written is read, through all layers', async (t) => {
  const { state, check } = await newDisk(t, 256 * mib);
  const { volumes, snapshots, images } = state.disks;
  await write(state, [
    [0, 2 * mib],
    [256 * mib - sector, sector],
  ]);
  await snapshots.create('db@monday', caller);
  await write(state, [[mib, 2 * mib]]);
  const before = fingerprint(state);
  const seen: DiskProgress[] = [];
  const report = await check({ onProgress: (progress) => void seen.push(progress) });
  t.same(report.data, { readBytes: 3 * mib + sector, failedBytes: 0 });
  t.ok(report.clean);
  const progress = seen.map(({ doneBytes }) => doneBytes);
  t.same(
    progress,
    [...progress].sort((a, b) => a - b),
  );
  t.same(seen.at(-1), { doneBytes: 256 * mib, totalBytes: 256 * mib });
  const monday = await volumes.check('db@monday', { readData }, caller);
  t.same(monday.data, { readBytes: 2 * mib + sector, failedBytes: 0 });
  t.equal(fingerprint(state), before);

  await images.create({ name: 'golden', volume: 'db' }, caller);
  await images.attach('golden', {}, caller);
  await volumes.attach('db', {}, caller);
  t.match(await images.check('golden', { readData }, caller), { data: report.data, clean: true });
  t.match(await volumes.check('db@monday', { readData }, caller), { data: monday.data });
  const refused = volumes.check('db', { readData }, caller);
  await t.rejects(refused, { code: 'WRONG_STATE', hint: /snapshot create db@check/ });
  t.ok((await volumes.check('db', {}, caller)).clean, 'the rest is checked while it is attached');
});

t.test('it goes on after what cannot be read, and says where it is', async (t) => {
  const { state, check } = await newDisk(t, 8 * mib);
  await write(state, [[0, 8 * mib]]);
  const [layer] = (await check()).layers;
  const pathContains = layer?.container ?? '-';
  let chunks = 0;
  const onProgress = (): void => {
    chunks += 1;
    if (chunks === 2) addon.injectBlockFault('read', { errno: 5, pathContains });
  };
  const once = await check({ onProgress });
  t.same(once.data, { readBytes: 8 * mib, failedBytes: 0 }, 'an error that does not come again');

  addon.injectBlockFault('read', { errno: 5, sticky: true, pathContains });
  const report = await check();
  addon.clearBlockFaults();
  t.equal(report.clean, false);
  t.same(report.data, { readBytes: 0, failedBytes: 8 * mib });
  t.match(report.findings, [
    {
      kind: 'data-unreadable',
      layerId: layer?.id,
      container: pathContains,
      range: { offsetBytes: 0, lengthBytes: 8 * mib },
      message: /^bytes 0 to 8388607 cannot be read: .*\.luks/,
    },
  ]);
  t.equal(report.findings.length, 1, 'one range is told once');
  t.ok((await check()).clean, 'and then it can be read');

  const dataOffsetBytes = statSync(pathContains).size - 8 * mib;
  const lostAt = 5 * mib + 3 * sector;
  const cutShort = (): void => truncateSync(pathContains, dataOffsetBytes + lostAt);
  const cut = await check({ onProgress: cutShort });
  t.same(cut.data, { readBytes: lostAt, failedBytes: 8 * mib - lostAt });
  t.match(cut.findings, [{ range: { offsetBytes: lostAt, lengthBytes: 8 * mib - lostAt } }]);
  t.match(await check(), { clean: false, findings: [{ kind: 'container-short' }] });
});

t.test('it ends when it should', { timeout: 60_000 }, async (t) => {
  const { state, check } = await newDisk(t, 64 * mib);
  await write(state, [[0, 64 * mib]]);
  const abort = new AbortController();
  const stopped = check({ signal: abort.signal, onProgress: () => abort.abort() });
  t.equal(await outcomeOf(stopped), 'INTERRUPTED');

  let lostMs = 0;
  let disabled: Promise<unknown> | undefined;
  const onProgress = (): void => {
    lostMs ||= performance.now();
    disabled ??= state.keys.disableKey('app', caller);
  };
  t.equal(await outcomeOf(check({ onProgress })), 'KEY_DISABLED', 'its key is lost');
  t.ok(performance.now() - lostMs < 1000, 'within a second');
  t.match(await disabled, { disks: [{ disk: 'check of volume db', outcome: 'closed' }] });
  await state.keys.enableKey('app', caller);

  // Nothing was left open, and the volume is free.
  const request: DiskCheck = { readData, repair: true };
  t.match(await state.disks.volumes.check('db', request, caller), { clean: true });
  await state.disks.volumes.delete('db', caller);
});
