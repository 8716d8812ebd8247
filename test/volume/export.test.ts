// A raw file of a disk holds what the disk reads as, and holes where that is zeros.
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { listAudit } from '../../dist/audit/audit.js';
import { raw } from '../support/export-targets.js';
import { caller, mib, newState, outcomeOf, type State } from '../support/state.js';

const sector = 4096;

/** A volume of that size with `data` at those places; answers what it reads as. */
async function volumeWith(
  state: State,
  name: string,
  sizeBytes: number,
  data: readonly (readonly [offsetBytes: number, bytes: Buffer])[],
): Promise<Buffer> {
  await state.disks.volumes.create({ name, sizeBytes, key: 'app' }, caller);
  const content = Buffer.alloc(sizeBytes);
  await write(state, name, content, data);
  return content;
}

async function write(
  { disks: { volumes } }: State,
  name: string,
  content: Buffer,
  data: readonly (readonly [offsetBytes: number, bytes: Buffer])[],
): Promise<void> {
  const { attachment } = await volumes.attach(name, {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  for (const [offsetBytes, bytes] of data) {
    await file.write(bytes, 0, bytes.length, offsetBytes);
    bytes.copy(content, offsetBytes);
  }
  await file.close();
  await volumes.detach(name, {}, caller);
}

async function stateWithKey(t: Parameters<typeof newState>[0]): Promise<State> {
  const state = await newState(t);
  await state.keys.createKey({ alias: 'app' }, caller);
  return state;
}

t.test('it holds what the disk reads as, at every size', { timeout: 120_000 }, async (t) => {
  const state = await stateWithKey(t);
  const { volumes } = state.disks;
  const sizes = [sector, mib - sector, mib, mib + sector, 5 * mib + 3 * sector];
  for (const [number, sizeBytes] of sizes.entries()) {
    const name = `v${String(number)}`;
    const file = join(state.runtimeDir, name);
    const content = await volumeWith(state, name, sizeBytes, [[0, randomBytes(sizeBytes)]]);
    const reply = await volumes.export(name, raw(file), caller);
    t.same(reply, { file, sizeBytes, dataBytes: sizeBytes });
    t.ok(readFileSync(file).equals(content), `${String(sizeBytes)} bytes`);
  }
});

t.test('holes and zeros are holes, through all layers', { timeout: 120_000 }, async (t) => {
  const state = await stateWithKey(t);
  const { volumes, snapshots, images } = state.disks;
  const content = await volumeWith(state, 'db', 256 * mib, [
    [3 * mib, randomBytes(2 * mib)],
    [8 * mib, Buffer.alloc(mib)],
    [256 * mib - sector, randomBytes(sector)],
  ]);
  await snapshots.create('db@monday', caller);
  const monday = Buffer.from(content);
  await write(state, 'db', content, [[4 * mib + sector, randomBytes(mib)]]);
  await images.create({ name: 'golden', volume: 'db' }, caller);
  const golden = Buffer.from(content);
  await write(state, 'db', content, [[0, randomBytes(sector)]]);

  const out = (name: string): string => join(state.runtimeDir, name);
  const exported = await volumes.export('db', raw(out('db')), caller);
  t.equal(exported.dataBytes, 2 * mib + 3 * sector, 'its data');
  t.ok(readFileSync(out('db')).equals(content));
  const { mode, blocks, size } = statSync(out('db'));
  t.equal(mode & 0o777, 0o600);
  t.equal(size, 256 * mib);
  t.ok(blocks * 512 < 4 * mib, 'sparse');

  // What nobody changes can be exported while it is in use.
  await volumes.attach('db', {}, caller);
  await images.attach('golden', {}, caller);
  await volumes.export('db@monday', raw(out('monday')), caller);
  t.ok(readFileSync(out('monday')).equals(monday), 'a snapshot');
  await images.export('golden', raw(out('golden')), caller);
  t.ok(readFileSync(out('golden')).equals(golden), 'an image');

  await volumes.create({ name: 'back', file: out('db'), key: 'app' }, caller);
  await volumes.export('back', raw(out('back')), caller);
  t.match(
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', out('db'), out('back')], {
      encoding: 'utf8',
    }),
    /identical/,
    'there and back',
  );
});

t.test('each is on record before it is made', async (t) => {
  const state = await stateWithKey(t);
  const { volumes, images } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  await images.create({ name: 'golden', volume: 'db' }, caller);
  const file = join(state.runtimeDir, 'raw');
  await volumes.export('db', raw(file), caller);
  await outcomeOf(images.export('golden', raw(file), caller));
  const records = listAudit(state.audit).filter(({ action }) => action.startsWith('export'));
  t.match(records, [
    { action: 'exportVolume', result: 'allowed', detail: `plaintext to ${file}` },
    { action: 'exportImage', result: 'refused', detail: 'FILE_EXISTS' },
  ]);
});
