/**
 * How a mounted filesystem is brought to rest when its key is lost: frozen; where that cannot be
 * done, unmounted; where that cannot be done in time, taken down. On a host that says what comes of
 * each step.
 */
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { MountHost } from '../../dist/device/index.js';
import { Fault } from '../../dist/fault.js';
import { lockInTime, lossesOf, mustComeDown } from '../../dist/volume/ending.js';
import { Mount } from '../../dist/volume/mount.js';

type Step = 'freeze' | 'thaw' | 'check' | 'sync' | 'unmount' | 'detach';

class PretendedHost implements MountHost {
  readonly steps: Step[] = [];
  readonly #answers: Partial<Record<Step, () => Promise<void>>>;

  constructor(answers: Partial<Record<Step, () => Promise<void>>>) {
    this.#answers = answers;
  }

  freezeFilesystem = () => this.#do('freeze');
  thawFilesystem = () => this.#do('thaw');
  checkFilesystem = () => this.#do('check');
  syncFilesystem = () => this.#do('sync');
  unmountFilesystem = () => this.#do('unmount');
  detachLoop = () => this.#do('detach');
  mountFilesystem = () => Promise.reject(new Error('not asked for'));
  growLoop = () => Promise.reject(new Error('not asked for'));
  attachLoop = () => Promise.reject(new Error('not asked for'));
  dropCaches = () => Promise.reject(new Error('not asked for'));

  async #do(step: Step): Promise<void> {
    this.steps.push(step);
    await this.#answers[step]?.();
  }
}

const fails = (code: 'UNSUPPORTED' | 'BUSY' | 'IO_ERROR') => () =>
  Promise.reject(new Fault(code, 'as it was told'));
const hangs = () => new Promise<never>(() => undefined);

function mountOn(host: PretendedHost, readOnly = false): Mount {
  const mount = new Mount(host, { disk: 'volume db', directory: '/nowhere', readOnly });
  mount.adopt({ source: '/dev/loop-none', filesystem: 'ext4', isLocked: false });
  return mount;
}

t.test('it is frozen', async (t) => {
  const host = new PretendedHost({});
  const mount = mountOn(host);
  t.equal(await lockInTime(mount), 'locked');
  t.equal(await lockInTime(mount), 'locked', 'a second time changes nothing');
  t.same(host.steps, ['freeze']);
  t.notOk(mustComeDown('locked'));
});

t.test('frozen by another program, it is locked, and stays frozen', async (t) => {
  const host = new PretendedHost({ freeze: fails('BUSY') });
  const mount = mountOn(host);
  t.equal(await lockInTime(mount), 'locked');
  await mount.down();
  t.same(host.steps, ['freeze', 'unmount', 'detach']);
});

t.test('what is just being thawed, after a snapshot, is frozen again', async (t) => {
  let isFrozen = false;
  const steps: Step[] = [];
  const host: PretendedHost = new PretendedHost({
    freeze: async () => {
      if (isFrozen) await fails('BUSY')();
      isFrozen = true;
    },
    thaw: async () => {
      // It reads its superblock first: the gate must be open.
      await setTimeout(20);
      steps.push(...host.steps);
      isFrozen = false;
    },
  });
  const mount = mountOn(host);
  const snapshot = mount.whileFrozen(() => Promise.resolve());
  while (!host.steps.includes('thaw')) await setTimeout(1);
  t.equal(await lockInTime(mount), 'locked');
  t.same(steps, ['freeze', 'thaw'], 'not before it was thawed');
  t.ok(isFrozen);
  await snapshot;
  t.same(host.steps, ['freeze', 'thaw', 'freeze']);
});

t.test('a read-only one has nothing to freeze', async (t) => {
  const host = new PretendedHost({});
  const mount = mountOn(host, true);
  t.equal(await lockInTime(mount), 'locked');
  t.ok(mount.isLocked);
  t.same(host.steps, []);
});

t.test('what cannot be frozen is written out and unmounted', async (t) => {
  const host = new PretendedHost({ freeze: fails('UNSUPPORTED') });
  const mount = mountOn(host);
  t.equal(await lockInTime(mount), 'unmounted');
  t.same(host.steps, ['freeze', 'sync', 'sync', 'unmount', 'detach']);
  t.notOk(mount.isLocked);
});

t.test(
  'what can neither be frozen nor unmounted must come down, but was written out',
  async (t) => {
    const mount = mountOn(
      new PretendedHost({ freeze: fails('UNSUPPORTED'), unmount: fails('BUSY') }),
    );
    const ending = await lockInTime(mount);
    t.equal(ending, 'busy');
    t.ok(mustComeDown(ending));
    t.same(lossesOf({ flushed: true, ending, pagesWritten: true }), []);
  },
);

for (const [what, freeze] of [
  ['a freeze that hangs', hangs],
  ['a filesystem that cannot be written out', fails('IO_ERROR')],
] as const) {
  t.test(`${what} must come down, and the reply says what is lost`, async (t) => {
    const startMs = performance.now();
    const ending = await lockInTime(
      mountOn(new PretendedHost({ freeze, sync: fails('IO_ERROR') })),
    );
    t.ok(performance.now() - startMs < 800, 'in time for the gate');
    t.equal(ending, 'unsynced');
    t.ok(mustComeDown(ending));
    t.match(lossesOf({ flushed: true, ending, pagesWritten: true }), [/wrote last may be lost/]);
  });
}

t.test('without a filesystem there is nothing to do', async (t) => {
  t.equal(await lockInTime(undefined), 'none');
});
