// A server that mends a bad request hides a client's mistake; this one refuses it and names the
// field. Nothing here may reach a use case: none is made up.
import { connect } from 'node:net';
import t from 'tap';
import { rawRequest, startApi } from '../support/api.js';

const api = '/keyvol/v1';

interface Case {
  readonly name: string;
  readonly path: string;
  readonly body: string;
  readonly says: string;
  readonly headers?: Record<string, string>;
}

const cases: readonly Case[] = [
  {
    name: 'malformed JSON',
    path: '/keys',
    body: '{"name":',
    says: 'the request body is not valid JSON',
  },
  {
    name: 'a poisoned prototype',
    path: '/keys',
    body: '{"name":"a","__proto__":{"x":1}}',
    says: 'the request body is not valid JSON',
  },
  { name: 'an array', path: '/keys', body: '[]', says: 'the request body must be a JSON object' },
  { name: 'a text', path: '/keys', body: '"a"', says: 'the request body must be a JSON object' },
  {
    name: 'null for an object with a needed field',
    path: '/keys',
    body: 'null',
    says: 'field name is missing',
  },
  {
    name: 'deep JSON',
    path: '/keys',
    body: '['.repeat(30_000) + ']'.repeat(30_000),
    says: 'the request body must be a JSON object',
  },
  {
    name: 'a body over the limit',
    path: '/keys',
    body: `{"name":"${'a'.repeat(70_000)}"}`,
    says: 'the request body is larger than 65536 bytes',
  },
  { name: 'a missing field', path: '/keys', body: '{}', says: 'field name is missing' },
  {
    name: 'an unknown field',
    path: '/keys',
    body: '{"name":"a","colour":"red"}',
    says: 'field colour is unknown',
  },
  {
    name: 'an unknown field where none is taken',
    path: '/keys/a/enable',
    body: '{"force":true}',
    says: 'field force is unknown',
  },
  {
    name: 'a number for a text',
    path: '/keys',
    body: '{"name":7}',
    says: 'field name must be string',
  },
  {
    name: 'a text for a number',
    path: '/volumes',
    body: '{"name":"a","size":"4096"}',
    says: 'field size must be a whole number',
  },
  {
    name: 'a fraction for a size',
    path: '/volumes',
    body: '{"name":"a","size":1.5}',
    says: 'field size must be a whole number',
  },
  {
    name: 'a number that no double holds',
    path: '/volumes',
    body: '{"name":"a","size":1e400}',
    says: 'field size must be a whole number',
  },
  {
    name: 'a size that JSON rounds',
    path: '/volumes',
    body: '{"name":"a","size":9007199254740993}',
    says: 'field size must be a whole number',
  },
  {
    name: 'a text for true',
    path: '/volumes',
    body: '{"name":"a","preallocate":"true"}',
    says: 'field preallocate must be boolean',
  },
  {
    name: 'null for an absent field',
    path: '/volumes',
    body: '{"name":"a","key":null}',
    says: 'field key must be string',
  },
  {
    name: 'an unknown policy',
    path: '/volumes/a/set',
    body: '{"on_key_loss":"never"}',
    says: 'field on_key_loss must be one of deny, until-detach, suspend',
  },
  {
    name: 'a relative file',
    path: '/images',
    body: '{"name":"a","file":"disk.raw"}',
    says: 'field file must be an absolute path',
  },
  {
    name: 'another media type',
    path: '/keys',
    body: 'name=a',
    says: 'the request body must be application/json',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  },
  {
    name: 'plain text',
    path: '/keys',
    body: 'name',
    says: 'the request body must be application/json',
    headers: { 'content-type': 'text/plain' },
  },
  {
    name: 'an empty body that says it is JSON',
    path: '/keys',
    body: '',
    says: 'the request body is empty',
  },
];

for (const { name, path, body, says, headers } of cases) {
  t.test(`${name} is refused`, async (t) => {
    const { socketPath, logged } = await startApi(t);
    const reply = await rawRequest(socketPath, 'POST', api + path, body, headers);
    t.equal(reply.status, 400);
    t.match(reply.body.error, { code: 'INVALID_ARGUMENT', message: says, cloud_code: 'KMS.0308' });
    t.same(logged, [], 'it is the client’s mistake, not ours');
  });
}

t.test('a query is as strict as a body', async (t) => {
  const { socketPath } = await startApi(t);
  const says = async (query: string) =>
    (await rawRequest(socketPath, 'GET', `${api}/audit?${query}`)).body.error.message as string;
  t.equal(await says('limit=-1'), 'query field limit must be a whole number');
  t.equal(await says('limit=1&limit=2'), 'query field limit must be a whole number');
  t.equal(await says('colour=red'), 'query field colour is unknown');
});

t.test('a route that does not exist is named', async (t) => {
  const { socketPath } = await startApi(t);
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', `${api}/nothing`],
    ['DELETE', `${api}/keys/a`],
    ['HEAD', `${api}/keys`],
  ] as const) {
    const reply = await rawRequest(socketPath, method, path);
    t.equal(reply.status, 404, `${method} ${path}`);
    if (method !== 'HEAD') {
      t.match(reply.body.error, { code: 'ROUTE_NOT_FOUND', message: `no route ${method} ${path}` });
    }
  }
});

t.test('a path that is not well encoded is refused', async (t) => {
  const { socketPath } = await startApi(t);
  const reply = await rawRequest(socketPath, 'GET', `${api}/keys/%zz`);
  t.equal(reply.status, 400);
  t.match(reply.body.error, { code: 'INVALID_ARGUMENT', message: /not well encoded/ });
});

t.test('what is not HTTP is refused in our words, and the server lives on', async (t) => {
  const { socketPath, client } = await startApi(t);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(socketPath, () => socket.end('SSH-2.0-OpenSSH\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
  });
  t.match(answer, /^HTTP\/1.1 400 /);
  t.match(answer, /"code":"INVALID_ARGUMENT"/);
  t.equal((await client.listKeys()).length, 1);
});

t.test('a call that takes nothing may come without a body', async (t) => {
  let stopped = 0;
  const { socketPath } = await startApi(t, { daemon: { shutdown: () => (stopped += 1) } });
  const reply = await rawRequest(socketPath, 'POST', `${api}/shutdown`, undefined, {});
  t.equal(reply.status, 200);
  t.equal(reply.text, '');
  t.equal(stopped, 1);
});
