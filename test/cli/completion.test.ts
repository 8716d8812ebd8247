// Completion is generated from the commands themselves, so it cannot fall behind them.
import t from 'tap';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyView, volumeView } from '../support/example-views.js';
import { fakeApi, type FakeApi } from '../support/fake-api.js';
import { cliMain, collect, runCli } from '../support/run-cli.js';
import { tempDirectory } from '../support/temp.js';

const api = await fakeApi(t, ({ path }) => {
  if (path === '/keys') {
    return { body: [keyView, { ...keyView, name: 'team:web' }, { ...keyView, name: 'team:db' }] };
  }
  return path === '/volumes' ? { body: [volumeView, { ...volumeView, name: 'web' }] } : undefined;
});

async function candidates(...words: string[]): Promise<string[]> {
  const { status, stdout } = await runCli(['__complete', '--', ...words], api);
  t.equal(status, 0);
  return stdout.split('\n').filter((line) => line !== '');
}

t.test('nouns, verbs and options that begin with what is typed are candidates', async (t) => {
  t.strictSame(await candidates('vol'), ['volume']);
  t.strictSame(await candidates('snapshot', 'r'), ['rollback']);
  t.strictSame(await candidates('volume', 'create', 'db', '--s'), [
    '--size',
    '--snapshot',
    '--state-dir',
  ]);
  t.strictSame(await candidates('volume', 'create', 'db', '--no-e'), [], 'not what is hidden');
  t.notOk((await candidates('')).includes('__complete'));
});

t.test('names are candidates where a disk or a key is wanted', async (t) => {
  t.strictSame(await candidates('volume', 'attach', ''), ['db', 'web']);
  t.strictSame(await candidates('volume', 'create', 'new', '--key', 'app'), ['app-db']);
  t.strictSame(await candidates('snapshot', 'show', 'db@'), ['db@monday']);
});

t.test('the values of an option that has a closed list are candidates', async (t) => {
  const words = ['volume', 'mount', 'db', '/mnt', '--mkfs', ''];
  t.strictSame(await candidates(...words), ['ext4', 'xfs', 'btrfs']);
  t.strictSame(await candidates('key', 'create', 'k', '--origin', ''), ['kms', 'external']);
});

t.test('nothing is a candidate where a new name or a file is wanted', async (t) => {
  t.strictSame(await candidates('volume', 'create', ''), []);
  t.strictSame(await candidates('volume', 'create', 'db', '--file', ''), []);
});

for (const shell of ['bash', 'zsh', 'fish']) {
  t.test(`the script for ${shell} is accepted by ${shell}`, { skip: missing(shell) }, async (t) => {
    const file = join(tempDirectory(t), 'completion');
    writeFileSync(file, (await runCli(['completion', shell])).stdout);
    t.doesNotThrow(() => execFileSync(shell, ['-n', file]));
  });
}

function missing(shell: string): string | false {
  try {
    execFileSync(shell, ['-c', 'true']);
    return false;
  } catch {
    return `${shell} is not installed`;
  }
}

for (const [line, expected] of [
  ['keyvol vol', ['volume']],
  ['keyvol volume attach d', ['db']],
  ['keyvol key show team:', ['web', 'db']],
  ['keyvol snapshot delete db@m', ['monday']],
] as const) {
  t.test(`bash completes "${line}"`, async (t) => {
    t.strictSame(await completedByBash(t, api, line), expected);
  });
}

async function completedByBash(
  t: Parameters<typeof tempDirectory>[0],
  { runtimeDir }: FakeApi,
  line: string,
): Promise<string[]> {
  const bin = tempDirectory(t);
  writeFileSync(join(bin, 'keyvol'), `#!/bin/sh\nexec '${process.execPath}' '${cliMain}' "$@"\n`);
  chmodSync(join(bin, 'keyvol'), 0o755);
  const script = `source <(keyvol completion bash)
    COMP_LINE=$1 COMP_POINT=\${#1}
    $(complete -p keyvol | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = spawn('bash', ['-c', script, 'bash', line], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${bin}:${process.env.PATH ?? ''}`,
      KEYVOL_RUNTIME_DIR: runtimeDir,
    },
  });
  const { stdout } = await collect(child);
  return stdout.split('\n').filter((candidate) => candidate !== '');
}
