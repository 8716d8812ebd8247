/**
 * The passphrase of a LUKS2 export, and the key of the file, leave nothing behind in the daemon: a
 * scan of its memory as root finds neither, nor does one of its files.
 */
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { cliMain } from '../support/run-cli.js';
import { countInMemory } from '../support/memory-scan.js';
import { startWorld, type World } from '../support/world.js';

const passphrase = 'a passphrase that nobody else has 4711';

/** The command's status. */
async function exportDisk(world: World, ...options: string[]): Promise<number> {
  const directories = ['--state-dir', world.stateDir, '--runtime-dir', world.runtimeDir];
  const args = [cliMain, ...directories, ...options, '--format', 'luks2', '--passphrase-fd', '0'];
  const running = promisify(execFile)(process.execPath, args);
  running.child.stdin?.end(passphrase);
  return running.then(
    () => 0,
    () => running.child.exitCode ?? -1,
  );
}

/** The key of a LUKS2 file, as cryptsetup gives it away. */
function keyOf(file: string): Buffer {
  const keyFile = `${file}.key`;
  const dump = ['luksDump', '--dump-volume-key', '--batch-mode', '--volume-key-file', keyFile];
  execFileSync('cryptsetup', [...dump, file], { input: passphrase, stdio: ['pipe', 'ignore', 2] });
  return readFileSync(keyFile);
}

t.test('nothing is left of a passphrase', { timeout: 60_000 }, async (t) => {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'v', '--size', '8M', '--key', 'app');
  const file = join(world.directory, 'v.luks');
  t.equal(await exportDisk(world, 'volume', 'export', 'v', '--out', file), 0);
  const argon2 = ['volume', 'export', 'v', '--out', `${file}2`, '--pbkdf', 'argon2id'];
  t.equal(await exportDisk(world, ...argon2), 0);
  t.equal(await exportDisk(world, 'volume', 'export', 'v', '--out', file), 6, 'is there already');
  await world.keyvol('key', 'disable', 'app');
  t.equal(await exportDisk(world, 'volume', 'export', 'v', '--out', `${file}3`), 4);

  const needles = new Map([
    ['passphrase', Buffer.from(passphrase)],
    ['key of the file', keyOf(file)],
    ['its first half', keyOf(`${file}2`).subarray(0, 32)],
  ]);
  for (const [name, count] of await countInMemory(await world.pid(), needles)) {
    t.equal(count, 0, `no ${name} in memory`);
  }
  const sockets = readdirSync(world.runtimeDir).filter((name) => name.startsWith('s-'));
  t.same(sockets, [], 'no socket of a command is left');
  for (const name of readdirSync(world.stateDir)) {
    const path = join(world.stateDir, name);
    if (statSync(path).isFile()) t.notOk(readFileSync(path).includes(passphrase), name);
  }
});
