/** The routes of master keys. */
import { Type } from '@sinclair/typebox';
import { Fault } from '../../fault.js';
import type { ImpactedDisk } from '../../volume/volumes.js';
import type { KeyLossOptions, MasterKey } from '../../kms/key-service.js';
import type { KeyLossRequest } from '../types.js';
import * as schemas from '../schemas.js';
import { route, type Route, type Services } from './route.js';
import { impactView, keyChangeView, keyView } from './views.js';

const params = schemas.strictObject({ key: schemas.nameText });
const longestListed = 5;

export const keyRoutes: readonly Route[] = [
  route(
    'GET /keys',
    { summary: 'List master keys', reply: Type.Array(schemas.keyView) },
    ({ keys }) => keys.listKeys().map(keyView),
  ),
  route(
    'POST /keys',
    { summary: 'Create a master key', body: schemas.keyCreate, reply: schemas.keyView },
    async ({ keys }, { body, caller }) => {
      const { name, ...rest } = body;
      return keyView(await keys.createKey({ alias: name, ...rest }, caller));
    },
  ),
  route(
    'GET /keys/:key',
    { summary: 'Show a master key', params, reply: schemas.keyView },
    ({ keys }, request) => keyView(keys.findKey(request.params.key)),
  ),
  route(
    'GET /keys/:key/impact',
    { summary: 'Every disk whose data needs the key', params, reply: schemas.impactView },
    ({ keys, disks }, request) => {
      const key = keys.findKey(request.params.key);
      return impactView(key, disks.impact(key.id));
    },
  ),
  route(
    'POST /keys/:key/enable',
    { summary: 'Allow uses of the key again', params, reply: schemas.keyChangeView },
    async ({ keys }, request) =>
      keyChangeView(await keys.enableKey(request.params.key, request.caller)),
  ),
  route(
    'POST /keys/:key/disable',
    {
      summary: 'Refuse every use of the key',
      params,
      body: schemas.keyLoss,
      reply: schemas.keyChangeView,
    },
    async ({ keys }, { params: { key }, body, caller }) =>
      keyChangeView(await keys.disableKey(key, caller, lossOf(body))),
  ),
  route(
    'POST /keys/:key/schedule-deletion',
    {
      summary: 'Delete the key after a number of days',
      params,
      body: schemas.deletionSchedule,
      reply: schemas.keyChangeView,
    },
    async ({ keys, disks }, { params: { key }, body, caller }) => {
      const { days, confirm } = body;
      const requireName = (found: MasterKey) => requireConfirmation(disks, found, confirm);
      return keyChangeView(
        await keys.scheduleDeletion(key, days, caller, requireName, lossOf(body)),
      );
    },
  ),
  route(
    'POST /keys/:key/cancel-deletion',
    { summary: 'Keep a key whose deletion was scheduled', params, reply: schemas.keyChangeView },
    async ({ keys }, request) =>
      keyChangeView(await keys.cancelDeletion(request.params.key, request.caller)),
  ),
  route(
    'POST /keys/:key/rename',
    { summary: 'Rename a key', params, body: schemas.rename, reply: schemas.keyView },
    async ({ keys }, { params: { key }, body, caller }) =>
      keyView(await keys.renameKey(key, body.name, caller)),
  ),
  route(
    'POST /keys/:key/describe',
    { summary: 'Describe a key', params, body: schemas.description, reply: schemas.keyView },
    async ({ keys }, { params: { key }, body, caller }) =>
      keyView(await keys.describeKey(key, body.description, caller)),
  ),
];

function lossOf(body: KeyLossRequest): KeyLossOptions {
  return { killUsers: body.kill_users === true };
}

/** Deleting a key that disks need destroys them: the key's name must have been typed. */
function requireConfirmation(
  disks: Services['disks'],
  key: MasterKey,
  confirm: string | undefined,
): void {
  const impacted = disks.impact(key.id);
  if (impacted.length === 0 || confirm === key.alias) return;
  throw confirmationRequired(key, impacted, confirm);
}

function confirmationRequired(
  key: MasterKey,
  impacted: readonly ImpactedDisk[],
  confirm?: string,
): Fault {
  const count = `${String(impacted.length)} disk${impacted.length === 1 ? '' : 's'}`;
  const wrong = confirm === undefined ? '' : `; "${confirm}" is not its name`;
  return new Fault(
    'CONFIRMATION_REQUIRED',
    `key ${key.alias} is needed by ${count} (${listed(impacted)})${wrong}`,
    { hint: `--confirm ${key.alias} deletes it all the same, and with it their data` },
  );
}

function listed(impacted: readonly ImpactedDisk[]): string {
  const names = impacted.slice(0, longestListed).map(({ kind, name }) => `${kind} ${name}`);
  return impacted.length > longestListed ? `${names.join(', ')}, …` : names.join(', ');
}
