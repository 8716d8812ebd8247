// `keyvol key list | head -1` is no error: a reader that goes away ends the command quietly.
import t from 'tap';
import { keyView } from '../support/example-views.js';
import { fakeApi } from '../support/fake-api.js';
import { collect, spawnCli } from '../support/run-cli.js';

t.test('a reader of stdout that is gone is not complained about', async (t) => {
  let readerIsGone = (): void => undefined;
  const gone = new Promise<void>((resolve) => (readerIsGone = resolve));
  const api = await fakeApi(t, async () => {
    await gone;
    return { body: Array.from({ length: 5000 }, () => keyView) };
  });
  const child = spawnCli(['key', 'list'], api);
  const result = collect(child);
  child.stdout.destroy();
  child.stdout.once('close', readerIsGone);
  const { status, stderr } = await result;
  t.equal(stderr, '');
  t.equal(status, 0);
});
