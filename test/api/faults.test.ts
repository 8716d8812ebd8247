// A fault must reach the user as it was thrown: scripts act on its code, people on its words.
import t from 'tap';
import { Fault, mappingOf } from '../../dist/fault.js';
import { rawRequest, startApi } from '../support/api.js';

const faultCodes = [
  'INTERRUPTED',
  'USAGE',
  'INVALID_NAME',
  'KEY_NOT_FOUND',
  'KEY_DISABLED',
  'DEFAULT_KEY_PROTECTED',
  'KEY_EXISTS',
  'WRONG_STATE',
  'IO_ERROR',
  'INTEGRITY_FAILED',
  'NO_SPACE',
  'LIMIT_REACHED',
] as const;

for (const code of faultCodes) {
  t.test(`${code} arrives with its message, hint and status`, async (t) => {
    const { client, socketPath } = await startApi(t, {
      keys: {
        findKey: () => {
          throw new Fault(code, 'key app-db is "odd"', { hint: 'mend it' });
        },
      },
    });
    await t.rejects(client.showKey('app-db'), {
      name: 'Fault',
      code,
      message: 'key app-db is "odd"',
      hint: 'mend it',
    });
    const reply = await rawRequest(socketPath, 'GET', '/keyvol/v1/keys/app-db');
    t.equal(reply.status, mappingOf(code).httpStatus);
    t.equal(reply.body.error.cloud_code, mappingOf(code).cloudCode);
  });
}

t.test(
  'an error that nobody expected says nothing of how we are built, but to the log',
  async (t) => {
    const broken = new TypeError('cannot read properties of undefined (reading x)');
    const { client, socketPath, logged } = await startApi(t, {
      keys: {
        findKey: () => {
          throw broken;
        },
      },
    });
    await t.rejects(client.showKey('app-db'), { code: 'INTERNAL', hint: undefined });
    const reply = await rawRequest(socketPath, 'GET', '/keyvol/v1/keys/app-db?x=1');
    t.equal(reply.status, 400, 'an unknown query field is refused first');
    const { text, status } = await rawRequest(socketPath, 'GET', '/keyvol/v1/keys/app-db');
    t.equal(status, 500);
    t.notMatch(text, /undefined|TypeError|\.ts|\.js|stack/);
    t.match(text, /internal error in GET \/keyvol\/v1\/keys\/app-db/);
    t.same(logged.at(-1)?.fields, { err: broken, request: 'GET /keyvol/v1/keys/app-db' });
  },
);

t.test('a failure of the storage is logged too, a refusal is not', async (t) => {
  const faults = [new Fault('KEY_DISABLED', 'refused'), new Fault('IO_ERROR', 'broken')];
  const { client, logged } = await startApi(t, {
    keys: {
      findKey: () => {
        throw faults.shift() ?? new Error('called too often');
      },
    },
  });
  await t.rejects(client.showKey('a'), { code: 'KEY_DISABLED' });
  t.equal(logged.length, 0);
  await t.rejects(client.showKey('a'), { code: 'IO_ERROR' });
  t.equal(logged.length, 1);
});
