/** A driver that was asked for is used or the start fails; only the default falls back. */
import t from 'tap';
import { openFuse, type FuseSettings } from '../../dist/daemon/fuse.js';
import { addon } from '../../dist/device/index.js';

const settingsFor = (driver: FuseSettings['driver']): FuseSettings => ({
  driver,
  runtimeDir: '/nonexistent',
  holderTimeoutSeconds: 1,
  addon: { ...addon, mountFuse: () => Promise.reject(new Error('must not be mounted')) },
  device: '/nonexistent/fuse',
});

t.test('a driver asked for by name is refused where there is no FUSE', async (t) => {
  for (const driver of ['native', 'portable'] as const) {
    await t.rejects(openFuse(settingsFor(driver)), {
      code: 'FUSE_UNAVAILABLE',
    });
  }
});

t.test('without a driver asked for, a host without FUSE is only warned of', async (t) => {
  const opened = await openFuse(settingsFor(undefined));
  t.equal(opened.driver, 'none');
  t.match(opened.warning, /no disk can be attached/);
});
