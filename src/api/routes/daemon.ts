/** The routes of the daemon itself and of its audit log. */
import { Type } from '@sinclair/typebox';
import * as schemas from '../schemas.js';
import { route, type Route } from './route.js';
import { defined } from './views.js';

export const daemonRoutes: readonly Route[] = [
  route(
    'GET /status',
    { summary: 'What the daemon is and holds', reply: schemas.statusView },
    ({ daemon, disks, keys }) => ({
      ...daemon.facts(),
      keys: keys.listKeys().length,
      ...disks.counts(),
      unwell: disks.unwell(),
    }),
  ),
  route(
    'POST /shutdown',
    { summary: 'Stop the daemon', body: schemas.shutdown },
    ({ daemon }, { body }) => {
      daemon.shutdown(body.keep_mounts ?? false);
      return undefined;
    },
  ),
  route(
    'GET /audit',
    {
      summary: 'List audit records',
      query: schemas.auditQuery,
      reply: Type.Array(schemas.auditView),
    },
    ({ audit }, { query }) =>
      audit.list(
        defined({
          limit: numberOf(query.limit),
          sinceSequence: numberOf(query.since_sequence),
        }),
      ),
  ),
];

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
