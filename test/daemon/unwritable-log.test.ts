// A log that cannot be written, for its disk is full or fails, must not end the daemon.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { tempDirectory } from '../support/temp.js';
import { World } from '../support/world.js';

const daemonMain = fileURLToPath(new URL('../../dist/daemon/main.js', import.meta.url));

t.test('a daemon whose log has no room', async (t) => {
  const world = new World(`${tempDirectory(t)}/world`);
  mkdirSync(world.directory);
  const full = openSync('/dev/full', 'w');
  const directories = ['--state-dir', world.stateDir, '--runtime-dir', world.runtimeDir];
  const daemon = spawn(process.execPath, [daemonMain, ...directories], {
    stdio: ['ignore', 'pipe', full],
  });
  closeSync(full);
  const ended = once(daemon, 'exit');
  await Promise.race([once(daemon.stdout ?? daemon, 'data'), ended]);
  t.equal(daemon.exitCode, null, 'it serves');
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'db', '--size', '1M', '--key', 'app');
  t.equal((await world.try('volume', 'show', 'nothing')).status, 3);
  await world.keyvol('key', 'disable', 'app');
  t.equal(await world.pid(), daemon.pid, 'it lives');
  await world.keyvol('daemon', 'stop');
  t.same(await ended, [0, null]);
});
