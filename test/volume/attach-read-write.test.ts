// The first promise: what is written to the file of an attached volume is there after it was
// detached and attached again, and stands nowhere in the clear.
import t from 'tap';
import { open, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { caller, mib, newState } from '../support/state.js';

t.test('a volume keeps what is written to it', async (t) => {
  const { disks, stateDir } = await newState(t);
  const { disk } = await disks.volumes.create({ name: 'db', sizeBytes: 16 * mib }, caller);
  t.equal(disk.record.state, 'available');
  const attached = await disks.volumes.attach('db', {}, caller);
  t.equal(attached.record.state, 'in-use');
  const path = attached.attachment?.path ?? '';
  t.equal((await stat(path)).size, 16 * mib, 'the file is exactly as large as the volume');
  const text = Buffer.alloc(8192, 'keyvol keeps secrets ');
  const file = await open(path, 'r+');
  await file.write(text, 0, text.length, 4096);
  await file.sync();
  await file.close();
  t.equal((await disks.volumes.detach('db', {}, caller)).record.state, 'available');
  await t.rejects(stat(path), { code: 'ENOENT' });

  await disks.volumes.attach('db', { readOnly: true }, caller);
  const again = await open(path, 'r');
  const { buffer } = await again.read(Buffer.alloc(8192), 0, 8192, 4096);
  t.ok(buffer.equals(text));
  t.ok((await again.read(Buffer.alloc(4096), 0, 4096, 0)).buffer.equals(Buffer.alloc(4096)));
  await again.close();
  for (const name of await readdir(join(stateDir, 'layers'))) {
    const bytes = await readFile(join(stateDir, 'layers', name));
    t.notOk(bytes.includes('keyvol keeps'), 'no plaintext is in the container');
  }
});
