/**
 * The last steps of an export, when the file is whole and gets its name: on a filesystem without
 * links (exFAT has none) it is renamed, and still replaces nothing; when its directory cannot be
 * flushed, no file is left.
 */
import t, { type Test } from 'tap';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { traceProcess } from '../support/strace.js';
import { startWorld, type CommandResult, type World } from '../support/world.js';

const mib = 1048576;

class Rig {
  readonly out: string;
  readonly file: string;

  constructor(
    private readonly world: World,
    private readonly pid: number,
  ) {
    this.out = join(world.directory, 'out');
    this.file = join(this.out, 'v.raw');
    mkdirSync(this.out);
  }

  /** The export, while what `inject` says happens to calls on that path. */
  async exportUnder(inject: string, path: string): Promise<CommandResult> {
    const tracing = await traceProcess(this.pid, inject, path);
    try {
      return await this.world.try('volume', 'export', 'v', '--out', this.file, '--plaintext');
    } finally {
      await tracing.end();
    }
  }
}

async function newRig(t: Test): Promise<Rig> {
  const world = await startWorld(t);
  await world.keyvol('volume', 'create', 'v', '--size', '1M');
  return new Rig(world, await world.pid());
}

t.test('without links the file is renamed, and replaces nothing', async (t) => {
  const rig = await newRig(t);
  for (const error of ['EPERM', 'EOPNOTSUPP', 'ENOSYS']) {
    const done = await rig.exportUnder(`link:error=${error}`, rig.file);
    t.equal(done.status, 0, done.stderr);
    t.same(readdirSync(rig.out), ['v.raw'], error);
    t.ok(readFileSync(rig.file).equals(Buffer.alloc(mib)));
    rmSync(rig.file);
  }
  // Slow enough for another program to take the name meanwhile.
  const slow = rig.exportUnder('link:error=EPERM:delay_enter=1000000', rig.file);
  while (readdirSync(rig.out).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync(rig.file, 'mine');
  t.equal((await slow).status, 6);
  t.same(readdirSync(rig.out), ['v.raw']);
  t.equal(readFileSync(rig.file, 'utf8'), 'mine');
});

t.test('a directory that cannot be flushed keeps no file', async (t) => {
  const rig = await newRig(t);
  const failed = await rig.exportUnder('fsync:error=EIO', rig.out);
  t.equal(failed.status, 8);
  t.match(failed.stderr, new RegExp(`cannot write ${rig.file} \\(EIO\\)`));
  t.same(readdirSync(rig.out), []);
});

t.test('a link that fails otherwise is an error', async (t) => {
  const rig = await newRig(t);
  const failed = await rig.exportUnder('link:error=EIO', rig.file);
  t.equal(failed.status, 8);
  t.same(readdirSync(rig.out), []);
});
