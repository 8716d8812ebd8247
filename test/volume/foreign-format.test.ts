/** An image of another format is never imported as if its bytes were those of a disk. */
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { openRawSource } from '../../dist/volume/raw-import.js';

const context = { fuse: undefined };

t.test('what qemu-img makes is refused by the name of its format', async (t) => {
  const directory = t.testdir();
  const made = { qcow2: 'qcow2', vmdk: 'VMDK', vhdx: 'VHDX', vdi: 'VDI', vpc: 'VHD' };
  for (const [format, name] of Object.entries(made)) {
    const file = path.join(directory, `o.${format}`);
    execFileSync('qemu-img', ['create', '-q', '-f', format, file, '8M']);
    await t.rejects(openRawSource(context, file), {
      code: 'INVALID_ARGUMENT',
      message: `${file} is a ${name} image, not a raw one`,
    });
  }
});

t.test('a LUKS container is refused', async (t) => {
  const file = path.join(t.testdir(), 'o.luks');
  writeFileSync(file, Buffer.from('LUKS\xba\xbe', 'latin1'));
  truncateSync(file, 4096);
  await t.rejects(openRawSource(context, file), { code: 'INVALID_ARGUMENT', message: /LUKS/ });
});

t.test('a raw file is opened', async (t) => {
  const file = path.join(t.testdir(), 'o.raw');
  writeFileSync(file, Buffer.alloc(4096, 7));
  const source = await openRawSource(context, file);
  t.teardown(() => source.file.close());
  t.equal(source.diskBytes, 4096);
});
