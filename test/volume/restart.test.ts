// DESIGN §5: after a kill -9 what it left in the kernel is cleaned, garbage is collected, and what
// was attached and mounted comes back, with all that was fsynced; at once, or when its key allows.
import Database from 'better-sqlite3';
import t from 'tap';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { cleanStaleMounts } from '../../dist/volume/stale-mounts.js';
import { isRoot, tempDirectory } from '../support/temp.js';
import { caller, openState } from '../support/state.js';

const skip = isRoot ? false : 'mounting needs root';
const child = new URL('../support/state-child.js', import.meta.url).pathname;

function isMounted(directory: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${directory} `);
}

t.test('kill -9, then a start', { skip, timeout: 90_000 }, async (t) => {
  const directory = tempDirectory(t);
  t.teardown(() => cleanStaleMounts(join(directory, 'run'), addon));
  const mnt = join(directory, 'mnt');
  mkdirSync(mnt);
  const daemon = spawn(process.execPath, [child, directory, mnt], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(daemon.stdout, 'data');
  const file = openSync(join(mnt, 'kept'), 'w');
  writeSync(file, 'fsynced');
  fsyncSync(file);
  closeSync(file);
  const ended = once(daemon, 'exit');
  daemon.kill('SIGKILL');
  await ended;
  const layers = join(directory, 'state', 'layers');
  const garbage = `${randomUUID()}.luks`;
  const unknown = `${randomUUID()}.luks`;
  writeFileSync(join(layers, garbage), 'half a container');
  writeFileSync(join(layers, unknown), 'of an older or a newer disks.db');
  const database = new Database(join(directory, 'state', 'disks.db'));
  database.prepare('INSERT INTO unclaimed VALUES (?)').run(garbage.slice(0, 36));
  database.close();
  writeFileSync(join(layers, 'notes.txt'), 'not ours');

  const first = await openState(t, directory);
  for (const said of [
    `unmounted ${mnt}, left by a former daemon`,
    `removed container ${garbage}, which no disk needs`,
    `left container ${unknown} alone, of which there is no record`,
    'attached volume attached again',
    `mounted volume mounted at ${mnt} again`,
  ]) {
    t.ok(first.recovery.includes(said), said);
  }
  t.equal(readFileSync(join(mnt, 'kept'), 'utf8'), 'fsynced');
  const names = await readdir(layers);
  t.notOk(names.includes(garbage));
  t.ok(names.includes(unknown));
  t.ok(names.includes('notes.txt'), 'what is not a container is left alone');
  t.equal((await first.disks.volumes.show('attached')).record.state, 'in-use');

  await first.keys.disableKey('app', caller);
  await first.stop();
  t.notOk(isMounted(mnt), 'a stop leaves no mount');

  const second = await openState(t, directory);
  t.ok(second.recovery.some((said) => /could not restore volume mounted.*disabled/.test(said)));
  t.ok(second.recovery.includes('attached volume attached again'));
  t.notOk(isMounted(mnt));
  const { disks } = await second.keys.enableKey('app', caller);
  t.match(disks, [{ disk: 'mounted', outcome: 'reopened' }]);
  t.equal(readFileSync(join(mnt, 'kept'), 'utf8'), 'fsynced', 'it is back when its key is');
  await second.disks.volumes.unmount('mounted', caller);
  t.equal((await second.disks.volumes.show('mounted')).attachment, undefined);
});
