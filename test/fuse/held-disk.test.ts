/**
 * A snapshot holds a disk's requests, more of them than there are threads to serve the mount. The
 * other disks must not wait with it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test as Tap } from 'tap';
import type { Device } from '../../dist/device/index.js';
import { exportVolume, mountEmpty, noFuse, readFileAt } from '../support/fuse.js';
import { MIB, newLayer, openStack, pattern, readAt } from '../support/layers.js';

const chunkBytes = 64 * 1024;
const users = 8; // of each kind; the mount has 4 threads

interface Held {
  readonly device: Device;
  readonly path: string;
  readonly otherPath: string;
}

async function heldDisk(t: Tap): Promise<Held> {
  const mounted = await mountEmpty(t);
  const device = await openStack(t, [newLayer(mounted.directory, 8 * MIB)]);
  const other = await openStack(t, [newLayer(mounted.directory, 8 * MIB)]);
  await other.write(pattern(chunkBytes, 1), 0);
  const path = exportVolume(mounted, 'held', device);
  const otherPath = exportVolume(mounted, 'other', other);
  await device.hold();
  // However the test ends, the kernel is not left with requests that nobody answers.
  t.teardown(() => device.resume());
  return { device, path, otherPath };
}

// Each writer has a place of its own, the readers look at what nobody writes.
const program = `
import os, sys, threading
fd = os.open(sys.argv[1], os.O_RDWR)
block = int(sys.argv[2])
failed = []
def use(work):
    try: work()
    except OSError as error: failed.append(error.errno)
def write(n):
    os.pwrite(fd, bytes([1 + n]) * block, n * ${chunkBytes})
    os.fsync(fd)
def read(n):
    assert os.pread(fd, block, 4194304 + n) == bytes(block)
threads = [threading.Thread(target=use, args=(lambda w=w, n=n: w(n),))
           for w in (write, read) for n in range(${users})]
for thread in threads: thread.start()
print('started', flush=True)
for thread in threads: thread.join()
print(failed)
`;

/** Starts readers and writers; what it answers settles with the errnos that they got. */
async function startUsers(path: string, blockBytes: number): Promise<() => Promise<string>> {
  const child = spawn('python3', ['-c', program, path, String(blockBytes)]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  return async () => {
    await ended;
    return output.slice(output.indexOf('\n') + 1).trim();
  };
}

async function otherAnswers(t: Tap, { otherPath }: Held): Promise<void> {
  // Time for the last requests to arrive, and to be in the way.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, 10_000, undefined).unref());
  const seen = await Promise.race([readFileAt(otherPath, 0, chunkBytes), late]);
  t.ok(seen?.equals(pattern(chunkBytes, 1)), 'the other disk answers');
}

for (const blockBytes of [100, chunkBytes]) {
  t.test(`a held disk is alone in waiting, ${blockBytes} bytes`, { skip: noFuse }, async (t) => {
    const held = await heldDisk(t);
    const failures = await startUsers(held.path, blockBytes);
    await otherAnswers(t, held);
    held.device.resume();
    t.equal(await failures(), '[]', 'its requests go on afterwards');
    const expected = Buffer.alloc(users * chunkBytes);
    for (let n = 0; n < users; n += 1) {
      expected.fill(1 + n, n * chunkBytes, n * chunkBytes + blockBytes);
    }
    t.ok((await readAt(held.device, 0, expected.length)).equals(expected));
    t.ok((await readFileAt(held.path, 0, expected.length)).equals(expected));
  });
}

t.test('requests that wait are refused when the gate closes', { skip: noFuse }, async (t) => {
  const held = await heldDisk(t);
  const failures = await startUsers(held.path, chunkBytes);
  await otherAnswers(t, held);
  t.match(await held.device.cutOff(5000), { flushed: true });
  t.equal(
    await failures(),
    `[${Array(2 * users)
      .fill('5')
      .join(', ')}]`,
    'each gets EIO',
  );
  t.equal(held.device.stats().writtenBytes, 0);
});
