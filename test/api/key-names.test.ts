// Key names hold slashes and colons ("evs/default"), which paths give another meaning.
import t from 'tap';
import { appKey, startApi } from '../support/api.js';

const names = [
  'evs/default',
  'a:b/c_d-e',
  '../../etc',
  'a?b=c#d',
  'ä €',
  '%2F',
  '.',
  'a'.repeat(255),
];

t.test('every name reaches the use case as it was given', async (t) => {
  const asked: string[] = [];
  const { client } = await startApi(t, {
    keys: {
      findKey: (name: string) => {
        asked.push(name);
        return appKey;
      },
    },
  });
  for (const name of names) await client.showKey(name);
  for (const name of names) await client.keyImpact(name);
  t.same(asked, [...names, ...names]);
});

t.test('a name of 255 slashes, each written as three characters, fits', async (t) => {
  const { client } = await startApi(t);
  t.match(await client.showKey('/'.repeat(255)), { name: 'app-db' });
});
