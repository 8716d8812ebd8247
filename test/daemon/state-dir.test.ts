// A state directory that cannot hold state must be refused in one line, with nothing changed in it.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { prepareStateDir } from '../../dist/daemon/state-dir.js';
import { runDaemon, startDaemon } from '../support/daemon.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

// Real daemons, one after the other, on a machine that may have other things to do.
t.setTimeout(120_000);

const none = { fuseDriver: 'none' } as const;
const needsRoot = isRoot ? {} : { skip: 'needs root' };

async function refusal(t: Test, stateDir: string, status: number, says: RegExp) {
  const run = await runDaemon(t, { ...none, stateDir });
  t.equal(run.status, status);
  t.match(run.output, says);
  t.equal(run.output.match(/keyvold: error:/g)?.length, 1, 'one line');
}

t.test('a file', async (t) => {
  const file = join(tempDirectory(t), 'state');
  writeFileSync(file, '');
  await refusal(t, file, 6, /^keyvold: error: state directory .* is not a directory$/m);
  await refusal(t, join(file, 'below'), 6, /is not a directory$/m);
});

t.test('a directory of other things', async (t) => {
  const directory = tempDirectory(t);
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, 'thesis.tex'), '');
  await refusal(t, directory, 6, /holds thesis\.tex but no keyvol state$/m);
  t.same(readdirSync(directory), ['thesis.tex']);
});

t.test('a symbolic link', async (t) => {
  const directory = tempDirectory(t);
  mkdirSync(join(directory, 'real'));
  symlinkSync('real', join(directory, 'link'));
  await refusal(t, join(directory, 'link'), 6, /is not a directory$/m);
});

t.test('one made by a newer version', async (t) => {
  const directory = tempDirectory(t);
  writeFileSync(join(directory, 'version'), '2\n');
  await refusal(t, directory, 6, /has format 2, and this keyvol knows up to 1$/m);
  t.same(readdirSync(directory), ['version']);
});

t.test('one whose version makes no sense', async (t) => {
  const directory = tempDirectory(t);
  for (const text of ['', '0', '-1', '1.5', 'one', '99999999999999999999']) {
    writeFileSync(join(directory, 'version'), text);
    t.throws(() => prepareStateDir(directory), {
      code: 'STATE_DIR_UNUSABLE',
      message: /has a version file that is not a number$/,
    });
  }
});

t.test('a full filesystem', needsRoot, async (t) => {
  const directory = smallFilesystem(t, '256k');
  const fill = (bytes: number) => {
    writeFileSync(join(directory, 'lost+found'), Buffer.alloc(bytes));
  };
  t.throws(() => fill(1 << 20), { code: 'ENOSPC' });
  await refusal(t, directory, 9, /^keyvold: error: state directory .* is on a full filesystem$/m);
});

t.test('a read-only filesystem, empty or with state', needsRoot, async (t) => {
  const directory = smallFilesystem(t, '16m');
  const setMode = (mode: string) => execFileSync('mount', ['-o', `remount,${mode}`, directory]);
  setMode('ro');
  await refusal(t, directory, 6, /is on a read-only filesystem$/m);
  setMode('rw');
  await (await startDaemon(t, { ...none, stateDir: directory })).stop();
  setMode('ro');
  await refusal(t, directory, 6, /is on a read-only filesystem$/m);
});

t.test('another user’s directory', needsRoot, async (t) => {
  const directory = tempDirectory(t);
  execFileSync('chown', ['nobody', directory]);
  await refusal(t, directory, 6, /belongs to another user$/m);
});

t.test('a fresh filesystem with lost+found is fine', async (t) => {
  const directory = tempDirectory(t);
  mkdirSync(join(directory, 'lost+found'));
  await startDaemon(t, { ...none, stateDir: directory });
});
