/**
 * The tests that would notice a wrong or torn sector, once more with each cipher kernel but the one
 * that all other tests run with: the model of a disk, and fio's verification under `kill -9`.
 */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import { runDaemon, startDaemon } from '../support/daemon.js';
import { tempDirectory } from '../support/temp.js';

const { chosen, usable } = addon.xtsKernels();
const none = { fuseDriver: 'none' } as const;

const tests = [
  { file: 'disk/model', env: { KEYVOL_MODEL_OPS: process.env.KEYVOL_MODEL_OPS ?? '5000' } },
  { file: 'holder/kills', env: { KEYVOL_KILLS: process.env.KEYVOL_KILLS ?? '2' } },
];

for (const kernel of usable.filter((name) => name !== chosen)) {
  for (const { file, env } of tests) {
    t.test(`${file} with ${kernel}`, { timeout: 0 }, (t) => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [`build-test/${file}.test.js`],
        { env: { ...process.env, ...env, KEYVOL_XTS: kernel, TAP: '1' }, encoding: 'utf8' },
      );
      t.equal(status, 0, `${stdout}${stderr}`.slice(-4000));
      t.end();
    });
  }
}

for (const kernel of usable) {
  t.test(`a daemon uses ${kernel} when it is told to, and says so`, async (t) => {
    const daemon = await startDaemon(t, { ...none, env: { KEYVOL_XTS: kernel } });
    t.match(await daemon.client.status(), { xts_kernel: kernel });
    await daemon.stop();
  });
}

t.test('a daemon that is told to use what there is not does not start', async (t) => {
  const stateDir = tempDirectory(t);
  const run = await runDaemon(t, { ...none, stateDir, env: { KEYVOL_XTS: 'fast' } });
  t.equal(run.status, 2);
  t.match(
    run.output,
    /^keyvold: error: KEYVOL_XTS is fast, which names no kernel; use one of .*openssl, or none/m,
  );
});
