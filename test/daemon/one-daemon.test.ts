// Two daemons on one state would each trust what it remembers of it.
import { join } from 'node:path';
import t from 'tap';
import { runDaemon, startDaemon } from '../support/daemon.js';
import { tempDirectory } from '../support/temp.js';

// Real daemons, one after the other, on a machine that may have other things to do.
t.setTimeout(120_000);

const none = { fuseDriver: 'none' } as const;

t.test('a second daemon on the same state directory is refused', async (t) => {
  const first = await startDaemon(t, none);
  const { stateDir } = first;
  const second = await runDaemon(t, { ...none, stateDir, runtimeDir: tempDirectory(t) });
  t.equal(second.status, 6);
  t.match(
    second.output,
    `state directory ${stateDir} is used by another daemon (process ${String(first.pid)})`,
  );
  t.match(second.output, /^hint: keyvol daemon stop/m);
  t.match(await first.client.status(), { pid: first.pid }, 'the first one goes on');
});

t.test('a second daemon on the same runtime directory is refused', async (t) => {
  const first = await startDaemon(t, none);
  const { runtimeDir } = first;
  const stateDir = join(tempDirectory(t), 'state');
  const second = await runDaemon(t, { ...none, stateDir, runtimeDir });
  t.equal(second.status, 6);
  t.match(second.output, `runtime directory ${runtimeDir} is used by another daemon`);
  t.match(await first.client.status(), { pid: first.pid });
});

t.test('of many that start at once one wins', async (t) => {
  const stateDir = join(tempDirectory(t), 'state');
  const start = async () =>
    startDaemon(t, { ...none, stateDir }).then(
      () => 'ready',
      (error: unknown) => (String(error).includes('is used by another daemon') ? 'refused' : error),
    );
  const results = await Promise.all([start(), start(), start()]);
  t.same(results.sort(), ['ready', 'refused', 'refused']);
});
