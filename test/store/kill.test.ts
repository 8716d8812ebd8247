// What was answered must be there after the process is killed at any moment.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openStore } from '../../dist/store/open.js';
import { tempDirectory } from '../support/temp.js';

const migrations = ['CREATE TABLE note (id INTEGER PRIMARY KEY) STRICT'];
const openUrl = new URL('../../dist/store/open.js', import.meta.url).href;

/** Commits in overlapping pairs, and prints each number once it is answered. */
const program = `
  const { openStore } = await import(${JSON.stringify(openUrl)});
  const [path, first] = [process.argv[1], Number(process.argv[2])];
  const store = await openStore({ path, migrations: ${JSON.stringify(migrations)} });
  const write = async (id) => {
    await store.commit([{ sql: 'INSERT INTO note VALUES (?)', params: [id] }]);
    process.stdout.write(id + '\\n');
  };
  for (let id = first; ; id += 2) await Promise.all([write(id), write(id + 1)]);
`;

async function writeUntilKilled(path: string, first: number, lines: number): Promise<number[]> {
  const arguments_ = ['--input-type=module', '--eval', program, path, String(first)];
  const child = spawn(process.execPath, arguments_, {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.split('\n').length > lines) child.kill('SIGKILL');
  });
  await once(child, 'close');
  // The last line may be cut off by the kill.
  return output.split('\n').slice(0, -1).map(Number);
}

t.test('every answered commit survives kill -9', async (t) => {
  const path = join(tempDirectory(t), 'a.db');
  const answered: number[] = [];
  for (let round = 0; round < 5; round++) {
    const first = 1_000_000 * round;
    answered.push(...(await writeUntilKilled(path, first, 20 + 30 * round)));
    const store = await openStore({ path, migrations });
    const ids = new Set(store.all<{ id: number }>('SELECT id FROM note').map(({ id }) => id));
    await store.close();
    t.same(
      answered.filter((id) => !ids.has(id)),
      [],
      `round ${round}: ${answered.length} answered`,
    );
  }
  t.ok(answered.length > 100);
});
