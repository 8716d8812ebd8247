/** A driver that was asked for is used or the start fails; only the default falls back. */
import t from 'tap';
import { openFuse } from '../../dist/daemon/fuse.js';

const noDevice = '/nonexistent/fuse';
const addon = { mountFuse: () => Promise.reject(new Error('must not be mounted')) };

t.test('a driver asked for by name is refused where there is no FUSE', async (t) => {
  for (const driver of ['native', 'portable'] as const) {
    await t.rejects(openFuse(driver, '/nonexistent', addon, noDevice), {
      code: 'FUSE_UNAVAILABLE',
    });
  }
});

t.test('without a driver asked for, a host without FUSE is only warned of', async (t) => {
  const opened = await openFuse(undefined, '/nonexistent', addon, noDevice);
  t.equal(opened.driver, 'none');
  t.match(opened.warning, /no disk can be attached/);
});
