// A program that has mapped the FUSE file keeps pages of plaintext, which no gate reaches: they are
// written out before the gate closes, and dropped, so that the program gets SIGBUS instead of them.
import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { isRoot } from '../support/temp.js';
import { caller, mib, newState } from '../support/state.js';

const skip = isRoot ? false : 'needs the disks of root';

t.test('mapped pages do not outlive the key', { skip, timeout: 30_000 }, async (t) => {
  const { disks, keys } = await newState(t);
  await keys.createKey({ alias: 'app' }, caller);
  await disks.volumes.create({ name: 'db', sizeBytes: mib, key: 'app' }, caller);
  const { attachment } = await disks.volumes.attach('db', {}, caller);
  const path = attachment?.path ?? '';
  const program = spawn('stdbuf', ['-oL', 'xfs_io', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => program.kill('SIGKILL'));
  const ended = once(program, 'exit');
  let output = '';
  program.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const told = async (text: string): Promise<void> => {
    while (!output.includes(text)) await once(program.stdout, 'data');
  };
  program.stdin.write('mmap 0 64k\nmwrite -S 0x6d 0 4096\nmread -v 0 16\n');
  await told('6d 6d 6d 6d');

  const disabled = await keys.disableKey('app', caller);
  t.match(disabled.disks, [{ disk: 'db', outcome: 'closed' }]);
  output = '';
  program.stdin.write('mread -v 0 16\nquit\n');
  const [, signal]: unknown[] = await ended;
  t.equal(signal, 'SIGBUS');
  t.notMatch(output, /6d 6d/, 'no plaintext any more');

  await keys.enableKey('app', caller);
  const file = await open(path, 'r');
  const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
  await file.close();
  t.ok(buffer.equals(Buffer.alloc(4096, 'm')), 'what was written to the mapping is there');
});
