/** A heap snapshot of a daemon that uses its keys holds none of them: JavaScript never had them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { formsOf, learnKeys } from '../support/known-keys.js';
import { sleep, World } from '../support/world.js';

const keyvold = fileURLToPath(new URL('../../dist/daemon/main.js', import.meta.url));

/** The snapshot is written under its name at once and is whole when it ends as JSON does. */
async function takenSnapshot(directory: string): Promise<Buffer> {
  for (;;) {
    const name = (await readdir(directory)).find((file) => file.endsWith('.heapsnapshot'));
    const content = name === undefined ? Buffer.alloc(0) : await readFile(join(directory, name));
    if (content.subarray(-4).toString().trimEnd().endsWith('}')) return content;
    await sleep(100);
  }
}

t.test('no key in a heap snapshot', async (t) => {
  const world = new World(await mkdtemp(join(tmpdir(), 'keyvol-e2e-')));
  const directories = ['--state-dir', world.stateDir, '--runtime-dir', world.runtimeDir];
  const daemon = spawn(
    process.execPath,
    ['--heapsnapshot-signal=SIGUSR2', keyvold, ...directories],
    { cwd: world.directory, stdio: 'ignore' },
  );
  const ended = once(daemon, 'exit');
  t.teardown(async () => {
    daemon.kill('SIGTERM');
    await ended;
    await rm(world.directory, { recursive: true, force: true });
  });
  while ((await world.try('status')).status !== 0) await sleep(50);

  const keys = await learnKeys(world);
  await world.keyvol('volume', 'attach', 'v');
  daemon.kill('SIGUSR2');
  const snapshot = await takenSnapshot(world.directory);
  t.ok(snapshot.includes(world.stateDir), 'the snapshot does show strings of the daemon');
  for (const [name, key] of Object.entries(keys)) {
    const found = formsOf(key).some((form) => snapshot.includes(form));
    t.notOk(found, `no ${name} key in the snapshot`);
  }
});
