/**
 * `--cache kernel`: programs read what the kernel has kept of a disk's file without asking keyvol,
 * and so past every gate. A lost key, a detach and a start must therefore end what is kept.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, type FileHandle } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { DiskView } from '../../dist/api/types.js';
import { must, sleep, startWorld, type World } from '../support/world.js';

const sizeBytes = 4 << 20;
/** What users are promised of a lost key (docs/guarantees.md). */
const cutOffMs = 1000;

async function attached(t: Test, ...options: string[]): Promise<{ world: World; path: string }> {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'v', '--size', String(sizeBytes), '--key', 'app');
  await world.keyvol('volume', 'attach', 'v', ...options);
  return { world, path: world.volumePath('v') };
}

/** Open for reading and writing, all of it written and then read. */
async function used(t: Test, path: string): Promise<FileHandle> {
  const file = await open(path, 'r+');
  t.teardown(() => file.close());
  await file.write(Buffer.alloc(sizeBytes, 7), 0, sizeBytes, 0);
  t.equal(await firstByte(file), 7);
  await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, 0);
  return file;
}

/** The first byte, or the code of the error. */
async function firstByte(file: FileHandle): Promise<number | string> {
  try {
    const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer.readUInt8(0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

async function cachedBytes(path: string): Promise<number> {
  return Number(await must('fincore', '--bytes', '--noheadings', '--output', 'RES', path));
}

t.test('the kernel keeps pages only of a file for which it was told to', async (t) => {
  const { world, path } = await attached(t);
  await used(t, path);
  t.equal(await cachedBytes(path), 0);
  await world.keyvol('volume', 'detach', 'v', '--force');
  await world.keyvol('volume', 'attach', 'v', '--cache', 'kernel');
  t.match(await world.json<DiskView>('volume', 'show', 'v'), { attachment: { cache: 'kernel' } });
  await used(t, path);
  t.equal(await cachedBytes(path), sizeBytes);
  t.equal(await cachedBytes(path), sizeBytes, 'opening it again keeps them');
});

t.test('a lost key ends what is kept within its second, a found one brings it back', async (t) => {
  const { world, path } = await attached(t, '--cache', 'kernel');
  const file = await used(t, path);
  await world.keyvol('key', 'disable', 'app');
  const replied = performance.now();
  let last = replied;
  while (performance.now() - replied < 2 * cutOffMs) {
    if ((await firstByte(file)) === 7) last = performance.now();
  }
  t.ok(last - replied < cutOffMs, `the last read succeeded ${String(last - replied)} ms after`);
  t.equal(await firstByte(file), 'EIO');
  await world.keyvol('key', 'enable', 'app');
  t.equal(await firstByte(file), 7, 'through the same open file');
});

t.test('nothing is kept of a disk that was detached by force', async (t) => {
  const { world, path } = await attached(t, '--cache', 'kernel');
  const file = await used(t, path);
  await world.keyvol('volume', 'detach', 'v', '--force');
  t.equal(await firstByte(file), 'EIO');
});

t.test('a start keeps nothing of the former daemon’s, and the way of caching', async (t) => {
  const { world, path } = await attached(t, '--cache', 'kernel');
  const file = await used(t, path);
  await world.keyvol('volume', 'set', 'v', '--on-key-loss', 'until-detach');
  await world.keyvol('key', 'disable', 'app');
  t.equal(await firstByte(file), 7, 'it goes on until it is detached');
  await world.kill(await world.pid());
  await world.respawn();
  t.equal(await firstByte(file), 'EIO', 'which a start without its key is, too');
  await world.keyvol('key', 'enable', 'app');
  t.equal(await firstByte(file), 7);
  t.match(await world.json<DiskView>('volume', 'show', 'v'), { attachment: { cache: 'kernel' } });
});

// Touches one page of its mapping at the start, and another for a line that it is sent.
const mapper = `
import mmap, os, sys
pages = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 1 << 20, mmap.MAP_SHARED, mmap.PROT_READ)
print(pages[0], flush=True)
sys.stdin.readline()
print(pages[500000], flush=True)
`;

t.test('a start keeps nothing, though readers of another disk wait for its key', async (t) => {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  const create = ['volume', 'create', '--size', String(sizeBytes), '--key', 'app', '--on-key-loss'];
  await world.keyvol(...create, 'suspend', 'waiting');
  await world.keyvol('volume', 'attach', 'waiting');
  await world.keyvol(...create, 'until-detach', 'v');
  await world.keyvol('volume', 'attach', 'v', '--cache', 'kernel');
  const path = world.volumePath('waiting');
  const reader = spawn('python3', ['-c', mapper, path], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(reader.stdout, 'data');
  const file = await used(t, world.volumePath('v'));
  await world.keyvol('key', 'disable', 'app');
  reader.stdin.write('\n');
  await sleep(200);
  await world.kill(await world.pid());
  await world.respawn();
  t.equal(await firstByte(file), 'EIO');
  const ended = once(reader, 'exit');
  await world.keyvol('key', 'enable', 'app');
  t.same(await ended, [0, null], 'who waited got its page');
});

t.test('an image can be cached, and is as it was when its volume is written', async (t) => {
  const { world, path } = await attached(t, '--cache', 'kernel');
  const file = await used(t, path);
  await world.keyvol('image', 'create', 'i', '--volume', 'v');
  await file.write(Buffer.alloc(4096, 9), 0, 4096, 0);
  t.equal(await firstByte(file), 9, 'over the image');
  await world.keyvol('image', 'attach', 'i', '--cache', 'kernel');
  const image = await open(world.imagePath('i'), 'r');
  t.teardown(() => image.close());
  t.equal(await firstByte(image), 7, 'the image is as it was');
});

t.test('a disk that would wait for its key is not cached', async (t) => {
  const { world } = await attached(t, '--cache', 'kernel');
  const policy = await world.try('volume', 'set', 'v', '--on-key-loss', 'suspend');
  t.equal(policy.status, 6);
  t.match(policy.stderr, /cannot wait for a lost key while the kernel caches its file\n.*--cache/);
  await world.keyvol('volume', 'detach', 'v');
  await world.keyvol('volume', 'set', 'v', '--on-key-loss', 'suspend');
  t.equal((await world.try('volume', 'attach', 'v', '--cache', 'kernel')).status, 6);
  await world.keyvol('volume', 'attach', 'v');
});
