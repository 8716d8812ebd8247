/**
 * Keys stay in native key memory: a scan of the daemon's memory as root, its arguments,
 * environment, logs and state directory finds no copy of a known root, master or data key, nor of
 * its halves, which are the first round keys of a cipher in use. OpenSSL's own contexts, where
 * nothing else does the ciphering, are the one exception, and they are gone a second after detach
 * or disable.
 */
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { addon } from '../../dist/device/index.js';
import { formsOf, learnKeys, type KnownKeys } from '../support/known-keys.js';
import { countInMemory } from '../support/memory-scan.js';
import { sleep, startWorld, type World } from '../support/world.js';

/** What must never be found, whatever is attached: whole keys. */
function wholeKeys(keys: KnownKeys): Map<string, Buffer> {
  return new Map([
    ['root key', keys.root],
    ['master key', keys.master],
    ['data key', keys.data],
  ]);
}

/** What a cipher in use holds of a data key: its halves, as first round keys. */
function halves(keys: KnownKeys): Map<string, Buffer> {
  return new Map([
    ['first half', keys.data.subarray(0, 32)],
    ['second half', keys.data.subarray(32)],
  ]);
}

async function checkNone(t: Test, pid: number, needles: Map<string, Buffer>, when: string) {
  for (const [name, count] of await countInMemory(pid, needles)) {
    t.equal(count, 0, `no ${name} in memory ${when}`);
  }
}

async function useDisk(world: World): Promise<void> {
  const file = await open(world.volumePath('v'), 'r+');
  await file.write(Buffer.alloc(8192, 7), 0, 8192, 512);
  await file.sync();
  await file.read(Buffer.alloc(8192), 0, 8192, 0);
  await file.close();
}

for (const kernel of new Set([addon.xtsKernels().chosen, 'openssl'])) {
  t.test(`no key stands in the memory of a daemon that uses ${kernel}`, async (t) => {
    t.teardown(() => delete process.env.KEYVOL_XTS);
    process.env.KEYVOL_XTS = kernel;
    const world = await startWorld(t);
    const keys = await learnKeys(world);
    const all = new Map([...wholeKeys(keys), ...halves(keys)]);
    const pid = await world.pid();
    await sleep(1000);
    await checkNone(t, pid, all, 'before attach');

    await world.keyvol('volume', 'attach', 'v');
    await useDisk(world);
    await checkNone(t, pid, kernel === 'openssl' ? wholeKeys(keys) : all, 'while attached');
    if (kernel === 'openssl') {
      const inUse = await countInMemory(pid, halves(keys));
      t.ok((inUse.get('first half') ?? 0) > 0, 'the scan does find a cipher context in use');
    }

    await world.keyvol('key', 'disable', 'app');
    await sleep(1000);
    await checkNone(t, pid, all, '1 s after disable');

    await world.keyvol('key', 'enable', 'app');
    await useDisk(world);
    await world.keyvol('volume', 'detach', 'v');
    await sleep(1000);
    await checkNone(t, pid, all, '1 s after detach');
  });
}

async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

t.test('no key stands in files, arguments or environment', async (t) => {
  const world = await startWorld(t);
  const keys = await learnKeys(world);
  await world.keyvol('volume', 'attach', 'v');
  await useDisk(world);
  await world.keyvol('image', 'create', 'i', '--volume', 'v');
  await world.keyvol('key', 'disable', 'app');
  const pid = String(await world.pid());

  const state = await filesUnder(world.stateDir);
  const checked = [...state, `/proc/${pid}/cmdline`, `/proc/${pid}/environ`].filter(
    (path) => path !== join(world.stateDir, 'root.key'),
  );
  t.ok(
    state.some((path) => path.endsWith('.log')),
    'logs are among them',
  );
  for (const path of checked) {
    const content = await readFile(path);
    const leaked = [...wholeKeys(keys), ...halves(keys)]
      .filter(([, key]) => formsOf(key).some((form) => content.includes(form)))
      .map(([name]) => name);
    t.same(leaked, [], `${path.replace(world.directory, '')} holds no key`);
  }
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
  t.match(limits, /Max core file size\s+0\s+0/, 'and a crash leaves no core file');
});
