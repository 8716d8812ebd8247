/**
 * A volume becomes smaller only when it is detached, asked for and confirmed. What was beyond its
 * new end is given up: it reads as zeros when the volume grows again, in its clones too, whatever
 * the layers below still hold; a snapshot of before has it all.
 */
import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { caller, fingerprint, mib, newState, outcomeOf, type State } from '../support/state.js';
import { isRoot } from '../support/temp.js';

const skip = isRoot ? false : 'needs the disks of root';
const confirmed = { shrink: true, confirm: 'db' };

/** A volume `db` of 4 MiB that holds `content`. */
async function fullVolume(t: Test): Promise<{ state: State; content: Buffer }> {
  const state = await newState(t);
  await state.disks.volumes.create({ name: 'db', sizeBytes: 4 * mib }, caller);
  const content = randomBytes(4 * mib);
  await writeTo(state, 'db', content);
  return { state, content };
}

async function writeTo({ disks }: State, volume: string, content: Buffer): Promise<void> {
  const { attachment } = await disks.volumes.attach(volume, {}, caller);
  const file = await open(attachment?.path ?? '', 'r+');
  await file.write(content, 0, content.length, 0);
  await file.close();
  await disks.volumes.detach(volume, {}, caller);
}

async function contentOf({ disks }: State, volume: string): Promise<Buffer> {
  const { attachment } = await disks.volumes.attach(volume, { readOnly: true }, caller);
  const content = readFileSync(attachment?.path ?? '');
  await disks.volumes.detach(volume, {}, caller);
  return content;
}

t.test(
  'zeros beyond its smallest size, also in its clones',
  { skip, timeout: 60_000 },
  async (t) => {
    const { state, content } = await fullVolume(t);
    const { volumes, snapshots } = state.disks;
    await snapshots.create('db@before', caller);
    await volumes.resize('db', { sizeBytes: mib, ...confirmed }, caller);
    t.ok((await contentOf(state, 'db')).equals(content.subarray(0, mib)), 'what is left');
    const { record } = await volumes.resize('db', { sizeBytes: 3 * mib }, caller);
    t.equal(record.sizeBytes, 3 * mib);
    const cut = Buffer.concat([content.subarray(0, mib), Buffer.alloc(2 * mib)]);
    t.ok((await contentOf(state, 'db')).equals(cut));
    await volumes.clone('db', 'copy', caller);
    await volumes.resize('copy', { sizeBytes: 5 * mib }, caller);
    const longer = Buffer.concat([cut, Buffer.alloc(2 * mib)]);
    t.ok((await contentOf(state, 'copy')).equals(longer));
    await snapshots.rollback('db@before', caller);
    t.ok((await contentOf(state, 'db')).equals(content), 'the snapshot has it all');
  },
);

t.test('a clone of something larger', { skip, timeout: 60_000 }, async (t) => {
  const { state, content } = await fullVolume(t);
  const { volumes, images } = state.disks;
  await images.create({ name: 'golden', volume: 'db' }, caller);
  await volumes.create({ name: 'c', image: 'golden' }, caller);
  await volumes.resize('c', { sizeBytes: 4096, shrink: true, confirm: 'c' }, caller);
  const { attachment } = await volumes.attach('c', {}, caller);
  await volumes.resize('c', { sizeBytes: 4 * mib }, caller);
  const seen = readFileSync(attachment?.path ?? '');
  const wanted = Buffer.concat([content.subarray(0, 4096), Buffer.alloc(4 * mib - 4096)]);
  t.ok(seen.equals(wanted));
  t.ok((await contentOf(state, 'db')).equals(content), 'what it was cloned from is whole');
});

t.test('it is asked for, confirmed and detached, or refused', { skip }, async (t) => {
  const { state } = await fullVolume(t);
  const { volumes } = state.disks;
  const refused = async (code: string, request: object): Promise<void> => {
    const before = fingerprint(state);
    const work = volumes.resize('db', { sizeBytes: mib, ...request }, caller);
    t.equal(await outcomeOf(work), code, JSON.stringify(request));
    t.equal(fingerprint(state), before, 'nothing has changed');
  };
  await refused('INVALID_SIZE', {});
  await refused('INVALID_SIZE', { confirm: 'db' });
  await refused('INVALID_SIZE', { ...confirmed, sizeBytes: mib + 1 });
  await refused('INVALID_SIZE', { ...confirmed, growFilesystem: true });
  await refused('CONFIRMATION_REQUIRED', { shrink: true });
  await refused('CONFIRMATION_REQUIRED', { shrink: true, confirm: 'bd' });
  await volumes.attach('db', {}, caller);
  await refused('WRONG_STATE', confirmed);
});
