// Clones share what was, never what comes, and never a data key: equal data at the same place is
// different ciphertext in every container.
import t from 'tap';
import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { caller, mib, newState, type State } from '../support/state.js';

const sector = 4096;

async function write(path: string, fill: string, offsetBytes: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(64 * 1024, fill), 0, 64 * 1024, offsetBytes);
  await file.sync();
  await file.close();
}

async function read(path: string, offsetBytes: number): Promise<string> {
  const file = await open(path, 'r');
  const { buffer } = await file.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, offsetBytes);
  await file.close();
  return new Set(buffer).size === 1 ? String.fromCharCode(buffer[0] ?? 0) : 'mixed';
}

async function repeatedSectors(state: State): Promise<number> {
  const seen = new Set<string>();
  let repeated = 0;
  for (const name of await readdir(join(state.stateDir, 'layers'))) {
    const bytes = await readFile(join(state.stateDir, 'layers', name));
    for (let at = mib; at < bytes.length; at += sector) {
      const text = bytes.subarray(at, at + sector).toString('latin1');
      if (/^\0*$/.test(text)) continue;
      if (seen.has(text)) repeated++;
      seen.add(text);
    }
  }
  return repeated;
}

t.test('clones do not see each other', async (t) => {
  const state = await newState(t);
  const { volumes, snapshots, images } = state.disks;
  await volumes.create({ name: 'db', sizeBytes: 4 * mib }, caller);
  const db = (await volumes.attach('db', {}, caller)).attachment?.path ?? '';
  await write(db, 'a', 0);
  await write(db, 'a', mib);
  await snapshots.create('db@one', caller);
  await images.create({ name: 'base', volume: 'db' }, caller);
  await volumes.clone('db', 'left', caller);
  await volumes.clone('db', 'right', caller);
  const left = (await volumes.attach('left', {}, caller)).attachment?.path ?? '';
  const right = (await volumes.attach('right', {}, caller)).attachment?.path ?? '';
  const base = (await images.attach('base', {}, caller)).attachment?.path ?? '';
  await write(left, 'b', 0);
  await write(right, 'b', 0);
  await write(db, 'b', 0);
  await write(right, 'c', 2 * mib);
  for (const path of [left, right, db]) t.equal(await read(path, 0), 'b');
  for (const path of [left, right, db, base]) t.equal(await read(path, mib), 'a');
  t.equal(await read(left, 2 * mib), '\0');
  t.equal(await read(right, 2 * mib), 'c');
  t.equal(await read(base, 0), 'a', 'the image is as it was');
  await t.rejects(open(base, 'r+'), 'an image cannot be written');

  await volumes.detach('db', {}, caller);
  await snapshots.rollback('db@one', caller);
  await volumes.attach('db', {}, caller);
  t.equal(await read(db, 0), 'a', 'the snapshot is back');
  t.equal(await repeatedSectors(state), 0, 'no ciphertext stands twice');
});
