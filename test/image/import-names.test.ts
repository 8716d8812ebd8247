// A name never leads out of the state directory, whatever an import is called.
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { caller, fingerprint, newState, outcomeOf } from '../support/state.js';

t.test('names that would be paths', { timeout: 60_000 }, async (t) => {
  const state = await newState(t);
  const { images, volumes } = state.disks;
  const file = join(state.runtimeDir, 'raw');
  writeFileSync(file, Buffer.alloc(4096, 'x'));
  const outside = (): string[] => readdirSync(dirname(state.stateDir)).sort();
  const [before, around] = [fingerprint(state), outside()];
  const names = [
    '../x',
    '/etc/x',
    '..',
    '.',
    '..%2fx',
    '%00',
    'a\0b',
    'a/b',
    'a\\b',
    'x'.repeat(4096),
    'ａ',
    'a\u0301',
    '',
    ' ',
    '-x',
  ];
  for (const name of names) {
    t.equal(await outcomeOf(images.create({ name, file }, caller)), 'INVALID_NAME', name);
    t.equal(await outcomeOf(volumes.create({ name, file }, caller)), 'INVALID_NAME', name);
  }
  t.equal(fingerprint(state), before);
  t.same(outside(), around);
});
