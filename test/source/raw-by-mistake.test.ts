// The format of a file is what its name or the user says, never what is in it: who can write a disk
// could make its bytes look like an image that names the files of the host.
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { formatOfName } from '../../dist/source/format.js';
import { openSource } from '../../dist/source/open-source.js';
import { host, sha256OfFile, sha256OfSource } from '../support/foreign.js';

t.test('what looks like an image but is not said to be one is refused', async (t) => {
  const directory = t.testdir();
  const made = { qcow2: 'qcow2', vmdk: 'VMDK', vhdx: 'VHDX', vdi: 'VDI', vpc: 'VHD' };
  for (const [format, name] of Object.entries(made)) {
    const file = path.join(directory, `o.${format}.img`);
    execFileSync('qemu-img', ['create', '-q', '-f', format, file, '8M']);
    await t.rejects(openSource(host, file), {
      code: 'INVALID_ARGUMENT',
      message: `${file} is a ${name} image, not a raw one`,
    });
    t.equal(await sha256OfSource(file, 'raw'), sha256OfFile(file), 'said to be raw it is taken');
  }
});

t.test('a LUKS container is refused', async (t) => {
  const file = path.join(t.testdir(), 'o.luks');
  writeFileSync(file, Buffer.from('LUKS\xba\xbe', 'latin1'));
  truncateSync(file, 4096);
  await t.rejects(openSource(host, file), { code: 'INVALID_ARGUMENT', message: /LUKS/ });
});

t.test('a raw file is opened', async (t) => {
  const file = path.join(t.testdir(), 'o.raw');
  writeFileSync(file, Buffer.alloc(4096, 7));
  const source = await openSource(host, file);
  t.teardown(() => source.close());
  t.equal(source.diskBytes, 4096);
});

t.test('a name says the format by its ending', (t) => {
  t.equal(formatOfName('/images/debian.qcow2'), 'qcow2');
  t.equal(formatOfName('/images/DEBIAN.VMDK'), 'vmdk');
  for (const other of ['/images/debian', '/images/debian.img', '/images.qcow2/debian']) {
    t.equal(formatOfName(other), 'raw', other);
  }
  t.end();
});

t.test('a file of another format than its name says is refused', async (t) => {
  const file = path.join(t.testdir(), 'o.vdi');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '8M']);
  await t.rejects(openSource(host, file), { code: 'INVALID_ARGUMENT', message: /not a sound vdi/ });
});
