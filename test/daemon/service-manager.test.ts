// sd_notify(3): systemd hears when the daemon serves, that it lives, and that it stops.
import { join } from 'node:path';
import t from 'tap';
import { ServiceManager } from '../../dist/daemon/service-manager.js';
import { startDaemon } from '../support/daemon.js';
import { listenForNotify } from '../support/notify-socket.js';
import { tempDirectory } from '../support/temp.js';
import { eventually } from '../support/wait.js';

t.setTimeout(120_000);

for (const kind of ['path', 'abstract'] as const) {
  t.test(`ready, alive, stopping, over a socket with ${kind} name`, async (t) => {
    const path = join(tempDirectory(t), 'notify');
    const name = kind === 'path' ? path : `@${path}`;
    const systemd = await listenForNotify(t, name);
    const daemon = await startDaemon(t, {
      fuseDriver: 'none',
      env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: '400000' },
    });
    await eventually(() => systemd.messages().filter((text) => text === 'WATCHDOG=1').length >= 2);
    t.equal(systemd.messages()[0], 'READY=1|STATUS=serving');
    await daemon.stop();
    await eventually(() => systemd.messages().some((text) => text.startsWith('STOPPING=1')));
    t.pass('all of them arrived');
  });
}

t.test('a watchdog that is meant for another process is left alone', async (t) => {
  const name = join(tempDirectory(t), 'notify');
  const systemd = await listenForNotify(t, name);
  const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' };
  const daemon = await startDaemon(t, { fuseDriver: 'none', env });
  await daemon.stop();
  await eventually(() => systemd.messages().some((text) => text.startsWith('STOPPING=1')));
  t.notOk(systemd.messages().includes('WATCHDOG=1'));
});

t.test('a socket that nobody listens on does not stop it', async (t) => {
  const daemon = await startDaemon(t, { fuseDriver: 'none', env: { NOTIFY_SOCKET: '/no/socket' } });
  // It tries once it is ready, so after what startDaemon waits for.
  await eventually(() => daemon.output().includes('the service manager cannot be told'));
  t.same(await daemon.stop(), { status: 0, signal: null });
});

t.test('a daemon that is not alive says why instead of giving a sign of life', async (t) => {
  const told: string[] = [];
  const addon = { notifyServiceManager: (message: string) => told.push(message) > 0 };
  process.env.WATCHDOG_USEC = '20000';
  t.teardown(() => delete process.env.WATCHDOG_USEC);
  const reasons = ['the key records do not answer'];
  const log = { warn: () => undefined };
  const manager = new ServiceManager(addon, log);
  manager.tellReady(() => Promise.resolve(reasons));
  await eventually(() => told.length >= 3);
  t.same(new Set(told.slice(1)), new Set(['STATUS=the key records do not answer']));
  reasons.pop();
  await eventually(() => told.includes('WATCHDOG=1'));
  t.pass('it lives again');
});
