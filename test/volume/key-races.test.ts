// Everything that uses a data key registers its gate before it asks for the unwrap: however attach,
// clone, resize and image creation fall against a disable, no gate is open once disable has answered.
import t from 'tap';
import { caller, mib, newState, outcomeOf } from '../support/state.js';

const races = 100;
const allowed = ['done', 'KEY_DISABLED'];

t.test(
  'attach, clone, resize and image creation against disable',
  { timeout: 180_000 },
  async (t) => {
    const { disks, keys } = await newState(t);
    const { volumes, images } = disks;
    await keys.createKey({ alias: 'app' }, caller);
    await volumes.create({ name: 'db', sizeBytes: 4 * mib, key: 'app' }, caller);
    const counts: Record<string, number> = {};
    for (let race = 0; race < races; race++) {
      if (race % 7 === 6) await startOver();
      const pause = (): Promise<void> => new Promise((go) => setTimeout(go, Math.random() * 60));
      const disable = pause().then(() => keys.disableKey('app', caller));
      const racing = Promise.all([
        outcomeOf(volumes.attach('db', {}, caller)),
        pause().then(() => outcomeOf(volumes.clone('db', `c${race}`, caller))),
        pause().then(() => outcomeOf(images.create({ name: `i${race}`, volume: 'db' }, caller))),
        pause().then(() =>
          outcomeOf(volumes.resize('db', { sizeBytes: (5 + race) * mib }, caller)),
        ),
      ]);
      await disable;
      for (const { record, attachment } of await volumes.list()) {
        if (attachment === undefined || attachment.gate === 'closed') continue;
        t.fail(`race ${race}: volume ${record.name} is open after disable has answered`);
      }
      for (const outcome of await racing) {
        counts[outcome] = (counts[outcome] ?? 0) + 1;
        if (!allowed.includes(outcome)) t.fail(`race ${race}: ${outcome}`);
      }
      await keys.enableKey('app', caller);
      const { attachment } = await volumes.show('db');
      if (attachment !== undefined) {
        if (attachment.gate !== 'open') t.fail(`race ${race}: enable did not open the gate`);
        await volumes.detach('db', {}, caller);
      }
    }
    t.equal(
      Object.values(counts).reduce((sum, count) => sum + count, 0),
      4 * races,
    );
    t.ok((counts['done'] ?? 0) > 0 && (counts['KEY_DISABLED'] ?? 0) > 0, JSON.stringify(counts));

    /** Stacks grow by three layers a race; a race on deep ones would only be slow. */
    async function startOver(): Promise<void> {
      for (const { record } of await volumes.list()) await volumes.delete(record.name, caller);
      for (const { record } of await images.list()) await images.delete(record.name, caller);
      await volumes.create({ name: 'db', sizeBytes: 4 * mib, key: 'app' }, caller);
    }
  },
);
