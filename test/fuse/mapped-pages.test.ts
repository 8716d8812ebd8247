/**
 * Pages of a disk's file that a program has mapped are plaintext that no gate reaches: closing it
 * must be followed by dropping them, and then the program gets SIGBUS instead of its bytes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { exportVolume, mountEmpty, noFuse } from '../support/fuse.js';
import { MIB, newLayer, openStack } from '../support/layers.js';

// Touches its mapping once at the start and once for every line that it is sent.
const program = `
import mmap, os, sys
pages = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 65536, mmap.MAP_SHARED, mmap.PROT_READ)
print(chr(pages[5000]), flush=True)
for line in sys.stdin: print(chr(pages[5000]), flush=True)
`;

t.test('dropped pages give SIGBUS while the gate is closed', { skip: noFuse }, async (t) => {
  const mounted = await mountEmpty(t);
  const layer = newLayer(mounted.directory, MIB);
  const device = await openStack(t, [layer]);
  const path = exportVolume(mounted, 'vol', device);
  await device.write(Buffer.from('k'), 5000);

  const start = async () => {
    const user = spawn('python3', ['-c', program, path], { stdio: ['pipe', 'pipe', 'ignore'] });
    const touched = async () => String(((await once(user.stdout, 'data')) as [Buffer])[0]).trim();
    t.equal(await touched(), 'k');
    return { user, touched, ended: once(user, 'exit') };
  };
  const { user, touched, ended } = await start();
  await device.cutOff(5000);
  const seen = touched();
  user.stdin.write('again\n');
  t.equal(await seen, 'k', 'the closed gate alone does not reach a mapped page');

  await mounted.session.dropMappedPages('vol');
  user.stdin.write('again\n');
  t.strictSame(await ended, [null, 'SIGBUS']);

  await device.restore([layer.dataKey]);
  const after = await start();
  after.user.stdin.end();
  t.strictSame(await after.ended, [0, null], 'with the gate open it is mapped again');
});
