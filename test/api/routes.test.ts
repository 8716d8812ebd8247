// The client, the routes and the document that describes them are written apart and must agree.
import t from 'tap';
import { routes } from '../../dist/api/routes/server.js';
import type { DaemonClient } from '../../dist/api/types.js';
import type { Services } from '../../dist/api/routes/route.js';
import { diskDetails, rawRequest, startApi, startApiOver } from '../support/api.js';

/** One call of every method, by the route it must reach. */
const calls: Record<string, (client: DaemonClient) => Promise<unknown>> = {
  'GET /status': (c) => c.status(),
  'POST /shutdown': (c) => c.shutdown(),
  'GET /audit': (c) => c.listAudit({ limit: 5, since_sequence: 7 }),
  'GET /keys': (c) => c.listKeys(),
  'POST /keys': (c) => c.createKey({ name: 'k', description: 'd', origin: 'external' }),
  'GET /keys/:key': (c) => c.showKey('k'),
  'GET /keys/:key/impact': (c) => c.keyImpact('k'),
  'POST /keys/:key/enable': (c) => c.enableKey('k'),
  'POST /keys/:key/disable': (c) => c.disableKey('k'),
  'POST /keys/:key/schedule-deletion': (c) => c.scheduleKeyDeletion('k', 7, 'k'),
  'POST /keys/:key/cancel-deletion': (c) => c.cancelKeyDeletion('k'),
  'POST /keys/:key/rename': (c) => c.renameKey('k', 'l'),
  'POST /keys/:key/describe': (c) => c.describeKey('k', 'd'),
  'GET /volumes': (c) => c.listVolumes(),
  'POST /volumes': (c) => c.createVolume({ name: 'v', size: 4096, on_key_loss: 'deny' }),
  'GET /volumes/:volume': (c) => c.showVolume('v'),
  'DELETE /volumes/:volume': (c) => c.deleteVolume('v'),
  'POST /volumes/:volume/clone': (c) => c.cloneVolume('v', 'w'),
  'POST /volumes/:volume/rename': (c) => c.renameVolume('v', 'w'),
  'POST /volumes/:volume/set': (c) => c.setVolume('v', { on_key_loss: 'until-detach' }),
  'POST /volumes/:volume/attach': (c) => c.attachVolume('v', { read_only: true, transport: 'nbd' }),
  'POST /volumes/:volume/detach': (c) => c.detachVolume('v', { force: true }),
  'POST /volumes/:volume/mount': (c) => c.mountVolume('v', { directory: '/m', mkfs: 'ext4' }),
  'POST /volumes/:volume/unmount': (c) => c.unmountVolume('v'),
  'POST /volumes/:volume/resize': (c) => c.resizeVolume('v', { size: 8192 }),
  'POST /volumes/:volume/check': (c) => c.checkVolume('v', { read_data: true, repair: true }),
  'POST /volumes/:volume/export': (c) => c.exportVolume('v', { file: '/f', plaintext: true }),
  'POST /volumes/:volume/export-key': (c) => c.exportVolumeKey('v', { file: '/f' }),
  'GET /snapshots': (c) => c.listSnapshots('v'),
  'POST /snapshots': (c) => c.createSnapshot('v@s'),
  'GET /snapshots/:snapshot': (c) => c.showSnapshot('v@s'),
  'POST /snapshots/:snapshot/rollback': (c) => c.rollbackSnapshot('v@s'),
  'DELETE /snapshots/:snapshot': (c) => c.deleteSnapshot('v@s'),
  'GET /images': (c) => c.listImages(),
  'POST /images': (c) => c.createImage({ name: 'i', volume: 'v' }),
  'GET /images/:image': (c) => c.showImage('i'),
  'DELETE /images/:image': (c) => c.deleteImage('i'),
  'POST /images/:image/copy': (c) => c.copyImage('i', { name: 'j', key: 'k' }),
  'POST /images/:image/check': (c) => c.checkImage('i', {}),
  'POST /images/:image/export': (c) => c.exportImage('i', { file: '/f', plaintext: true }),
  'POST /images/:image/rename': (c) => c.renameImage('i', 'j'),
  'POST /images/:image/attach': (c) => c.attachImage('i', { cache: 'kernel' }),
  'POST /images/:image/detach': (c) => c.detachImage('i', { force: true }),
  'POST /images/:image/mount': (c) => c.mountImage('i', { directory: '/m' }),
  'POST /images/:image/unmount': (c) => c.unmountImage('i'),
};

t.test('every route has a method of the client, and every method a route', async (t) => {
  const { client } = await startApi(t);
  t.same(Object.keys(calls).sort(), routes.map(({ method, path }) => `${method} ${path}`).sort());
  t.equal(Object.keys(client).length, routes.length);
});

t.test('every method reaches its route with a request that the schemas take', async (t) => {
  const reached: string[] = [];
  const { client } = await startApiOver(t, servicesThatFail(reached));
  for (const [route, call] of Object.entries(calls)) {
    const before = reached.length;
    await t.rejects(call(client), { code: 'INTERNAL' }, `${route}: the service fails`);
    t.equal(reached.length - before, route === 'GET /status' ? 0 : 1, `${route} asked one service`);
  }
});

/** Whatever a route asks of a service fails, and leaves its name in `reached`. */
function servicesThatFail(reached: string[]): Services {
  const failing = (known: Record<string, unknown> = {}) =>
    new Proxy(known, {
      get: (own, name) => {
        if (typeof name === 'string' && name in own) return own[name];
        return () => {
          reached.push(String(name));
          throw new Error('made up');
        };
      },
    });
  const [volumes, images, snapshots] = [failing(), failing(), failing()];
  // Any function may be asked of these, which is all that a route does with them.
  return {
    keys: failing(),
    disks: failing({ volumes, images, snapshots }),
    audit: failing(),
    daemon: failing({ facts: factsOnce() }),
  } as unknown as Services;
}

/** The server asks for its version once; the status route must find it failing. */
function factsOnce(): () => { version: string } {
  let asked = 0;
  return () => {
    if (asked++ > 0) throw new Error('made up');
    return { version: '0' };
  };
}

t.test('a disk arrives with all that is known of it', async (t) => {
  const attachment = {
    transport: 'fuse',
    path: '/r/disks/volumes/db',
    readOnly: true,
    cache: 'kernel',
    gate: 'open',
    poisoned: false,
    mountedAt: '/m',
    filesystem: 'xfs',
  };
  const health = { state: 'failed', reason: 'a flush failed', cure: 'attach it again' };
  const show = () => ({
    ...diskDetails({ source: 'image:debian', onKeyLoss: 'suspend' }),
    attachment,
    health,
  });
  const { client } = await startApi(t, { disks: { volumes: { show } } });
  t.same(await client.showVolume('db'), {
    id: '5f1b2f4e-64a4-4d3c-8f7e-111111111111',
    name: 'db',
    kind: 'volume',
    state: 'available',
    size: 1 << 20,
    used: 8192,
    shared: 4096,
    layers: 2,
    key_id: '0b7e1c9a-3f53-4b38-9a43-27a5a0b0c001',
    key_name: 'app-db',
    key_state: 'enabled',
    created_at: '2026-01-02T00:00:00.000Z',
    source: 'image:debian',
    on_key_loss: 'suspend',
    attachment: {
      transport: 'fuse',
      path: '/r/disks/volumes/db',
      read_only: true,
      cache: 'kernel',
      gate: 'open',
      poisoned: false,
      mounted_at: '/m',
      filesystem: 'xfs',
    },
    health,
  });
});

t.test('the OpenAPI document names every route and its parameters', async (t) => {
  const { socketPath } = await startApi(t);
  const { body } = await rawRequest(socketPath, 'GET', '/keyvol/v1/openapi.json');
  t.equal(body.openapi, '3.1.0');
  for (const { method, path } of routes) {
    const documented = `/keyvol/v1${path.replace(/:(\w+)/, '{$1}')}`;
    const operation = body.paths[documented]?.[method.toLowerCase()];
    t.ok(operation?.summary, `${method} ${documented}`);
    const named = operation.parameters.filter((p: { in: string }) => p.in === 'path').length;
    t.equal(named, path.split(':').length - 1, 'its path parameters');
  }
});
