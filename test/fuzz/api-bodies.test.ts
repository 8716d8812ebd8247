/**
 * Requests as careless and hostile clients would send them, to the API over real services: each gets
 * an answer with a code, none is the daemon's own failure, and nothing breaks.
 */
import t from 'tap';
import type { Route, Services as ApiServices } from '../../dist/api/routes/route.js';
import { routes } from '../../dist/api/routes/server.js';
import { apiPrefix } from '../../dist/api/paths.js';
import { openServices } from '../powercut/services.js';
import { rawRequest, startApiOver, type RawReply } from '../support/api.js';
import { modelRandom, type ModelRandom } from '../support/model-random.js';
import { isRoot, smallFilesystem } from '../support/temp.js';
import { anyText, damaged, valueFor } from './random-json.js';

const seconds = Number(process.env.KEYVOL_FUZZ_SECONDS ?? '60');
const seed = Number(process.env.KEYVOL_FUZZ_SEED ?? Date.now() % 1e6);
const skip = isRoot ? false : 'mounting needs root';

/** These do to the host what they are asked: a directory that is mounted on, a file that is made. */
const actsOnTheHost = /\/(mount|export|export-key)$/;
const tried = routes.filter(({ path }) => !actsOnTheHost.test(path));

function pathOf({ path, query }: Route, random: ModelRandom): string {
  const names = ['app', 'db', 'golden', 'db@monday', 'key1'];
  const filled = path.replaceAll(/:\w+/g, () =>
    urlPart(random.below(3) > 0 ? random.pick(names) : anyText(random)),
  );
  const fields = Object.entries(query.properties).flatMap(([name, field]) =>
    random.below(2) === 0 ? [`${name}=${urlPart(String(valueFor(field, random)))}`] : [],
  );
  return `${apiPrefix}${filled}${fields.length > 0 ? `?${fields.join('&')}` : ''}`;
}

/** Half of a surrogate pair has no place in a URL. */
function urlPart(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString());
}

function bodyOf({ body }: Route, random: ModelRandom): string | undefined {
  if (body === undefined && random.below(8) > 0) return undefined;
  const text = body === undefined ? '{}' : JSON.stringify(valueFor(body, random));
  return random.below(10) === 0 ? damaged(text, random) : text;
}

/** Node sends a body with GET and DELETE, but does not say how long it is. */
function headersOf(body: string | undefined): Record<string, string> {
  if (body === undefined) return {};
  const length = String(Buffer.byteLength(body));
  return { 'content-type': 'application/json', 'content-length': length };
}

/** An answer of the API: done, or refused with a code and a message. */
function isAnswer({ status, body }: RawReply): boolean {
  if (status < 300) return status >= 200;
  const isRefusal = status < 500 || status === 507;
  return isRefusal && typeof body?.error?.code === 'string' && body.error.code !== 'INTERNAL';
}

t.test(`requests for ${seconds} s, seed ${seed}`, { skip, timeout: 0 }, async (t) => {
  const random = modelRandom(seed);
  const stateDir = `${smallFilesystem(t, '256m')}/state`;
  const services = await openServices(stateDir, { threadless: false });
  t.teardown(() => services.stop());
  const daemon: Pick<ApiServices['daemon'], 'facts' | 'shutdown' | 'usage'> = {
    facts: () => ({
      version: '0.0.0',
      pid: process.pid,
      state_dir: stateDir,
      runtime_dir: stateDir,
      started_at: new Date(0).toISOString(),
      fuse_driver: 'native',
      nbd: [],
      xts_kernel: 'openssl',
      secret_memory: 'memfd_secret',
      recovery: [],
    }),
    shutdown: () => undefined,
    usage: () => ({ rssBytes: 1, cpuSeconds: 1, openFds: 1 }),
  };
  const api = await startApiOver(t, {
    keys: services.keys,
    disks: services.disks,
    audit: {
      list: () => [],
      lastSequence: () => 0,
      backlog: () => services.keyStore.backlog(),
    },
    daemon: { ...daemon, notAlive: async () => [], notReady: async () => [] },
  });
  await rawRequest(api.socketPath, 'POST', `${apiPrefix}/keys`, '{"name":"app"}');
  const volume = '{"name":"db","size":1048576,"key":"app"}';
  await rawRequest(api.socketPath, 'POST', `${apiPrefix}/volumes`, volume);
  const wrong: string[] = [];
  const statuses = new Map<number, number>();
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs && wrong.length < 20) {
    const route = random.pick(tried);
    const path = pathOf(route, random);
    const body = bodyOf(route, random);
    const reply = await rawRequest(api.socketPath, route.method, path, body, headersOf(body));
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    if (isAnswer(reply)) continue;
    const said = `${String(reply.status)} ${reply.text.slice(0, 300)}`;
    wrong.push(`${route.method} ${path.slice(0, 200)} ${(body ?? '').slice(0, 300)}: ${said}`);
  }
  t.same(wrong, []);
  const seen = JSON.stringify([...statuses].sort());
  t.ok((statuses.get(200) ?? 0) > 0 && (statuses.get(400) ?? 0) > 0, seen);
  const after = await rawRequest(api.socketPath, 'GET', `${apiPrefix}/keys`);
  t.equal(after.status, 200, 'it goes on');
  t.equal(Object.keys(Object.prototype).length, 0, 'no prototype was changed');
});
