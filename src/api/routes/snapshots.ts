/** The routes of snapshots; "V@SNAP" names one. */
import { Type } from '@sinclair/typebox';
import * as schemas from '../schemas.js';
import { route, type Route } from './route.js';
import { deleteView, diskView } from './views.js';

const params = schemas.strictObject({ snapshot: schemas.nameText });
const reply = schemas.diskView;

export const snapshotRoutes: readonly Route[] = [
  route(
    'GET /snapshots',
    {
      summary: 'List snapshots, of one volume or all',
      query: schemas.snapshotQuery,
      reply: Type.Array(schemas.diskView),
    },
    async ({ disks, keys }, { query }) =>
      (await disks.snapshots.list(query.volume)).map((snapshot) => diskView(snapshot, keys)),
  ),
  route(
    'POST /snapshots',
    { summary: 'Create a snapshot of a volume', body: schemas.snapshotCreate, reply },
    async ({ disks, keys }, { body, caller }) =>
      diskView(await disks.snapshots.create(body.snapshot, caller), keys),
  ),
  route(
    'GET /snapshots/:snapshot',
    { summary: 'Show a snapshot', params, reply },
    async ({ disks, keys }, request) =>
      diskView(await disks.snapshots.show(request.params.snapshot), keys),
  ),
  route(
    'POST /snapshots/:snapshot/rollback',
    { summary: 'Bring a volume back to a snapshot', params, reply },
    async ({ disks, keys }, { params: { snapshot }, caller }) =>
      diskView(await disks.snapshots.rollback(snapshot, caller), keys),
  ),
  route(
    'DELETE /snapshots/:snapshot',
    { summary: 'Delete a snapshot', params, reply: schemas.deleteView },
    async ({ disks }, { params: { snapshot }, caller }) =>
      deleteView(await disks.snapshots.delete(snapshot, caller)),
  ),
];
