/**
 * System calls of a running daemon fail (strace injects it) while an operator works: each command
 * is done or says what is wrong, the daemon lives, and when the fault is over everything can be done
 * and read again. What fails below the services alone is in test/points.
 */
import { open } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { traceProcess } from '../support/strace.js';
import { isRoot } from '../support/temp.js';
import { startWorld, type World } from '../support/world.js';

const skip = isRoot ? false : 'attaching disks needs root';

/** From the first call of each thread on, or now and then. */
const faults = [
  'pwrite64:error=EIO:when=1+',
  'pwrite64:error=EIO:when=2+3',
  'pwrite64:error=ENOSPC:when=1+2',
  'pread64:error=EIO:when=1+2',
  'fsync:error=EIO:when=1+',
  'fdatasync:error=EIO:when=1+2',
  'openat:error=EMFILE:when=1+2',
  'openat:error=ENOMEM:when=2+3',
  'ftruncate:error=EIO:when=1+',
  'fallocate:error=ENOSPC:when=1+',
  'unlink:error=EROFS:when=1+',
  'statfs:error=EIO:when=1+2',
  'clone3:error=EAGAIN:when=1+2',
  'memfd_secret:error=ENOMEM:when=1+',
] as const;

/** In an order in which each can be done after the one before. */
const commandsFor = (n: number): readonly (readonly string[])[] => [
  ['key', 'create', `key${n}`],
  ['volume', 'create', `v${n}`, '--size', '1M', '--key', 'app'],
  ['volume', 'attach', `v${n}`],
  ['snapshot', 'create', `db@s${n}`],
  ['key', 'disable', 'app'],
  ['key', 'enable', 'app'],
  ['volume', 'detach', `v${n}`],
  ['volume', 'delete', `v${n}`, '--yes'],
  ['status'],
];

/** An answer with a cure, and not the daemon's own failure. */
function isAnswer(status: number, stderr: string): boolean {
  if (status === 0) return true;
  return status !== 1 && status !== 7 && /^keyvol: error: .+$/m.test(stderr);
}

async function contentOf(world: World): Promise<Buffer> {
  const file = await open(world.volumePath('db'));
  try {
    const bytes = Buffer.alloc(1 << 20);
    await file.read(bytes, 0, bytes.length, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

/** What helps a disk whose flush failed. */
async function attachAgain(world: World): Promise<void> {
  await world.try('volume', 'detach', 'db', '--force');
  await world.keyvol('volume', 'attach', 'db');
}

t.test('commands while calls fail', { skip, timeout: 0 }, async (t: Test) => {
  const world = await startWorld(t);
  await world.keyvol('key', 'create', 'app');
  await world.keyvol('volume', 'create', 'db', '--size', '1M', '--key', 'app');
  await world.keyvol('volume', 'attach', 'db');
  const content = Buffer.alloc(1 << 20, 'content that stays ');
  const file = await open(world.volumePath('db'), 'r+');
  await file.write(content, 0, content.length, 0);
  await file.sync();
  await file.close();
  const pid = await world.pid();
  for (const [n, fault] of faults.entries()) {
    const tracing = await traceProcess(pid, fault);
    const answers = [];
    for (const args of commandsFor(n)) answers.push([args, await world.try(...args)] as const);
    await tracing.end();
    for (const [args, { status, stderr }] of answers) {
      t.ok(isAnswer(status, stderr), `${fault}: ${args.join(' ')}: ${String(status)} ${stderr}`);
    }
    t.equal(await world.pid(), pid, `${fault}: the daemon lives`);
    await world.keyvol('key', 'enable', 'app');
    await attachAgain(world);
    t.ok((await contentOf(world)).equals(content), `${fault}: what was there is there`);
    await world.keyvol('snapshot', 'create', `db@after${n}`);
  }
  await world.keyvol('daemon', 'restart');
  t.ok((await contentOf(world)).equals(content), 'and after a restart');
});
