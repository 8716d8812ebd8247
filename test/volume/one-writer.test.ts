// One writer a disk (DESIGN §5): a mounted volume cannot be written through its FUSE file, below its
// filesystem; neither while its key is away, nor after a restart. When it is unmounted it can.
import t from 'tap';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRoot, tempDirectory } from '../support/temp.js';
import { caller, mib, openState, outcomeOf, startState } from '../support/state.js';

const skip = isRoot ? false : 'mounting needs root';
const run = promisify(execFile);

/** What another program hears that opens `path`: "done", or why not. */
async function opened(path: string, mode: 'r' | 'w'): Promise<string> {
  const options = mode === 'r' ? ['-r'] : [];
  const { stderr } = await run('xfs_io', [...options, '-c', 'stat', path]).catch(
    // execFile rejects with what the program has written.
    (error: unknown) => error as { stderr: string },
  );
  return stderr === '' ? 'done' : stderr.trim();
}

t.test('a mount is the only writer', { skip, timeout: 60_000 }, async (t) => {
  const root = tempDirectory(t);
  const directory = join(root, 'mnt');
  mkdirSync(directory);
  const first = await startState(root);
  t.teardown(() => first.stop());
  const { volumes } = first.disks;
  await first.keys.createKey({ alias: 'app' }, caller);
  await volumes.create({ name: 'db', sizeBytes: 64 * mib, key: 'app' }, caller);
  const { attachment } = await volumes.attach('db', {}, caller);
  const path = attachment?.path ?? '';
  t.equal(await opened(path, 'w'), 'done');
  await volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  t.match(await opened(path, 'w'), /busy/i);
  t.equal(await opened(path, 'r'), 'done', 'readers are welcome');
  await first.keys.disableKey('app', caller);
  t.match(await opened(path, 'w'), /busy/i, 'its filesystem will come back');
  await first.keys.enableKey('app', caller);
  t.match(await opened(path, 'w'), /busy/i);
  await first.stop();

  const second = await openState(t, root);
  t.match(await opened(path, 'w'), /busy/i, 'a restart mounts it again');
  await second.disks.volumes.unmount('db', caller);
  t.equal(await opened(path, 'w'), 'done');
  const mount = second.disks.volumes.mount('db', { directory, mkfs: 'xfs' }, caller);
  t.equal(await outcomeOf(mount), 'WRONG_STATE', 'there is a filesystem already');
  t.equal(await opened(path, 'w'), 'done', 'a mount that failed takes nothing');
});

t.test('a mount waits for no writer', { skip, timeout: 60_000 }, async (t) => {
  const root = tempDirectory(t);
  const directory = join(root, 'mnt');
  mkdirSync(directory);
  const { disks } = await openState(t, root);
  await disks.volumes.create({ name: 'db', sizeBytes: 64 * mib }, caller);
  const { attachment } = await disks.volumes.attach('db', {}, caller);
  const script = 'exec 3<>"$0"; echo open; read line';
  const writer = spawn('sh', ['-c', script, attachment?.path ?? ''], { stdio: 'pipe' });
  t.teardown(() => writer.kill());
  await once(writer.stdout, 'data');
  const mount = (): Promise<unknown> =>
    disks.volumes.mount('db', { directory, mkfs: 'ext4' }, caller);
  t.equal(await outcomeOf(mount()), 'BUSY');
  const ended = once(writer, 'exit');
  writer.stdin.end('close\n');
  await ended;
  t.equal(await outcomeOf(mount()), 'done');
});
