// All or nothing, also for a process that is killed: after a start every disk that has a record opens
// to its bottom, every container has a record, and nothing waits to be removed.
import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { cleanStaleMounts } from '../../dist/volume/stale-mounts.js';
import { isRoot, tempDirectory } from '../support/temp.js';
import { caller, openState, outcomeOf, type State } from '../support/state.js';

const skip = isRoot ? false : 'needs the disks of root';
const child = new URL('../support/verbs-child.js', import.meta.url).pathname;
const rounds = 12;

/** Lets the verbs run for a while and kills them in the middle. */
async function runAndKill(directory: string, afterMs: number): Promise<void> {
  const verbs = spawn(process.execPath, [child, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(verbs, 'exit');
  await once(verbs.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  verbs.kill('SIGKILL');
  await ended;
}

async function opens(state: State, kind: string, name: string): Promise<string> {
  const { volumes, images } = state.disks;
  if (kind === 'volume') {
    // A start attaches again what was attached.
    await outcomeOf(volumes.detach(name, {}, caller));
    const outcome = await outcomeOf(volumes.attach(name, {}, caller));
    await outcomeOf(volumes.detach(name, {}, caller));
    return outcome;
  }
  const outcome = await outcomeOf(images.attach(name, {}, caller));
  await outcomeOf(images.detach(name, {}, caller));
  return outcome;
}

t.test('verbs are killed in the middle', { skip, timeout: 180_000 }, async (t) => {
  const directory = tempDirectory(t);
  t.teardown(() => cleanStaleMounts(join(directory, 'run'), addon));
  for (let round = 0; round < rounds; round++) {
    const afterMs = Math.floor(Math.random() * 600);
    await runAndKill(directory, afterMs);
    const state = await openState(t, directory);
    const what = `killed after ${afterMs} ms`;
    const { store } = state;
    const disks = store.all<{ kind: string; name: string }>('SELECT kind, name FROM disks');
    for (const { kind, name } of disks.filter((disk) => disk.kind !== 'snapshot')) {
      t.equal(await opens(state, kind, name), 'done', `${what}: ${kind} ${name}`);
    }
    const layers = store.all<{ id: string }>('SELECT id FROM layers').map(({ id }) => `${id}.luks`);
    const containers = readdirSync(join(state.stateDir, 'layers'));
    t.same(containers.sort(), layers.sort(), `${what}: containers are what the records say`);
    t.same(store.all('SELECT layer_id FROM unclaimed'), [], `${what}: no garbage is left`);
    await state.stop();
  }
});
