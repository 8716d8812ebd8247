// Importing a disk takes minutes: the user sees how far it is, and Ctrl-C must end the work itself,
// not only the waiting.
import { once } from 'node:events';
import t from 'tap';
import { Fault } from '../../dist/fault.js';
import type { LongCall } from '../../dist/volume/volumes.js';
import { diskDetails, rawRequest, startApi } from '../support/api.js';

const created = { disk: diskDetails(), remarks: ['padded by 512 bytes'] };

/** Work that only its signal ends. */
async function untilAborted({ signal }: LongCall): Promise<never> {
  if (signal === undefined) throw new Error('a long call has a signal');
  if (!signal.aborted) await once(signal, 'abort');
  throw new Fault('INTERRUPTED', 'interrupted, and all is cleaned up');
}

t.test('progress arrives before the result', async (t) => {
  const { client } = await startApi(t, {
    disks: {
      volumes: {
        create: (_volume: never, _caller: never, call: LongCall) => {
          call.onProgress?.({ doneBytes: 0, totalBytes: 8192 });
          call.onProgress?.({ doneBytes: 8192, totalBytes: 8192 });
          return created;
        },
      },
    },
  });
  const seen: unknown[] = [];
  const reply = await client.createVolume({ name: 'db', file: '/disk' }, (p) => seen.push(p));
  t.same(seen, [
    { done: 0, total: 8192 },
    { done: 8192, total: 8192 },
  ]);
  t.match(reply, { created: { name: 'db', size: 1 << 20 }, remarks: ['padded by 512 bytes'] });
});

t.test('progress is thinned out, its end is not', async (t) => {
  const { client } = await startApi(t, {
    disks: {
      images: {
        create: (_image: never, _caller: never, call: LongCall) => {
          for (let done = 0; done <= 10_000; done++) {
            call.onProgress?.({ doneBytes: done, totalBytes: 10_000 });
          }
          return created;
        },
      },
    },
  });
  const seen: number[] = [];
  await client.createImage({ name: 'debian', file: '/disk' }, ({ done }) => seen.push(done));
  t.ok(seen.length < 1000, `${String(seen.length)} lines`);
  t.equal(seen.at(-1), 10_000);
});

t.test('a fault after the first line arrives as a fault', async (t) => {
  const { client } = await startApi(t, {
    disks: {
      volumes: {
        create: (_volume: never, _caller: never, call: LongCall) => {
          call.onProgress?.({ doneBytes: 1, totalBytes: 2 });
          throw new Fault('NO_SPACE', 'the disk is full', { hint: 'make room' });
        },
      },
    },
  });
  await t.rejects(client.createVolume({ name: 'db' }), {
    code: 'NO_SPACE',
    message: 'the disk is full',
    hint: 'make room',
  });
});

t.test('a request that is refused before it begins has its status', async (t) => {
  const { socketPath } = await startApi(t);
  const reply = await rawRequest(socketPath, 'POST', '/keyvol/v1/volumes', '{}', {
    accept: 'application/x-ndjson',
    'content-type': 'application/json',
  });
  t.equal(reply.status, 400);
});

t.test('a client that wants one answer gets one', async (t) => {
  const { socketPath } = await startApi(t, { disks: { volumes: { create: () => created } } });
  const reply = await rawRequest(socketPath, 'POST', '/keyvol/v1/volumes', '{"name":"db"}');
  t.match(reply.body, { created: { name: 'db' } });
});

t.test('aborting ends the work in the daemon', async (t) => {
  const ended = new AbortController();
  const { client } = await startApi(t, {
    disks: {
      volumes: {
        exportKey: (_volume: never, _file: never, _caller: never, call: LongCall) => {
          call.onProgress?.({ doneBytes: 0, totalBytes: 1 });
          return untilAborted(call).finally(() => ended.abort());
        },
      },
    },
  });
  const interrupt = new AbortController();
  const call = client.exportVolumeKey(
    'db',
    { file: '/key' },
    () => interrupt.abort(),
    interrupt.signal,
  );
  await t.rejects(call, { code: 'INTERRUPTED' });
  if (!ended.signal.aborted) await once(ended.signal, 'abort');
  t.pass('the work heard of it');
});

t.test('closing the server ends long calls and tells their clients', async (t) => {
  const api = await startApi(t, {
    disks: {
      volumes: {
        create: (_volume: never, _caller: never, call: LongCall) => {
          call.onProgress?.({ doneBytes: 0, totalBytes: 1 });
          return untilAborted(call);
        },
      },
    },
  });
  await t.rejects(
    api.client.createVolume({ name: 'db' }, () => void api.close()),
    { code: 'INTERRUPTED', message: 'interrupted, and all is cleaned up' },
  );
});
