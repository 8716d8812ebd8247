/**
 * Each resize makes a layer. One to which nothing was written is replaced, so that resizing again
 * and again makes no deep stack, unless it hides what was cut off, or others need it.
 */
import t from 'tap';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { caller, mib, newState, type State } from '../support/state.js';
import { isRoot } from '../support/temp.js';

const skip = isRoot ? false : 'needs the disks of root';

async function write({ disks }: State, offsetBytes: number, content: Buffer): Promise<void> {
  const { attachment } = await disks.volumes.attach('db', {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  await file.write(content, 0, content.length, offsetBytes);
  await file.close();
  await disks.volumes.detach('db', {}, caller);
}

async function layersOf({ disks }: State): Promise<number> {
  return (await disks.volumes.show('db')).layerCount;
}

t.test('a hundred resizes of a detached volume', { skip, timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { volumes } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: mib }, caller);
  for (let round = 1; round <= 50; round += 1) {
    await volumes.resize('db', { sizeBytes: (1 + round) * mib }, caller);
  }
  t.equal(await layersOf(state), 1);
  const content = randomBytes(mib);
  await write(state, 0, content);
  for (let round = 51; round <= 100; round += 1) {
    await volumes.resize('db', { sizeBytes: (1 + round) * mib }, caller);
  }
  t.equal(await layersOf(state), 2, 'one over what was written');
  t.equal(readdirSync(join(state.stateDir, 'layers')).length, 2);
  const { attachment } = await volumes.attach('db', {}, caller);
  const seen = readFileSync(attachment?.path ?? '');
  t.equal(seen.length, 101 * mib);
  t.ok(seen.subarray(0, mib).equals(content));
  t.same(state.warnings, []);
});

t.test('an empty layer that cuts off what is below stays', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: 4 * mib }, caller);
  await write(state, 0, Buffer.alloc(4 * mib, 1));
  const shrink = (sizeBytes: number) =>
    volumes.resize('db', { sizeBytes, shrink: true, confirm: 'db' }, caller);
  await shrink(2 * mib);
  await shrink(mib);
  t.equal(await layersOf(state), 2, 'cut off further, it is replaced');
  await volumes.resize('db', { sizeBytes: 3 * mib }, caller);
  t.equal(await layersOf(state), 3);
  await volumes.resize('db', { sizeBytes: 4 * mib }, caller);
  t.equal(await layersOf(state), 3, 'nothing is below that it could show');
  const { attachment } = await volumes.attach('db', {}, caller);
  const seen = readFileSync(attachment?.path ?? '');
  t.ok(seen.equals(Buffer.concat([Buffer.alloc(mib, 1), Buffer.alloc(3 * mib)])));
});

t.test('what was preallocated is kept', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: mib, preallocate: true }, caller);
  await volumes.resize('db', { sizeBytes: 2 * mib }, caller);
  t.equal(await layersOf(state), 2, 'its space was promised');
});

t.test('a layer that a snapshot needs stays', { skip }, async (t) => {
  const state = await newState(t);
  const { volumes, snapshots } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: mib }, caller);
  await snapshots.create('db@empty', caller);
  await volumes.resize('db', { sizeBytes: 2 * mib }, caller);
  t.equal(await layersOf(state), 2);
  await snapshots.rollback('db@empty', caller);
  const { record } = await volumes.show('db');
  t.equal(record.sizeBytes, mib);
});
