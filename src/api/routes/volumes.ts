/** The routes of volumes. */
import { Type, type Static } from '@sinclair/typebox';
import type { NewVolume } from '../../volume/volumes.js';
import * as schemas from '../schemas.js';
import { checkRequest, checkView as checkReply } from '../check-schemas.js';
import { checkView, diskCheck } from './check-view.js';
import { route, type Route } from './route.js';
import { createdView, defined, deleteView, diskExport, diskView, exportView } from './views.js';

const params = schemas.strictObject({ volume: schemas.nameText });
const reply = schemas.diskView;

export const volumeRoutes: readonly Route[] = [
  route(
    'GET /volumes',
    { summary: 'List volumes', reply: Type.Array(schemas.diskView) },
    async ({ disks, keys }) => (await disks.volumes.list()).map((volume) => diskView(volume, keys)),
  ),
  route(
    'POST /volumes',
    {
      summary: 'Create a volume, empty or from an image, a snapshot or a file',
      long: true,
      body: schemas.volumeCreate,
      reply: schemas.createdDiskView,
    },
    async ({ disks, keys }, { body, caller, call }) =>
      createdView(await disks.volumes.create(newVolume(body), caller, call), keys),
  ),
  route(
    'GET /volumes/:volume',
    { summary: 'Show a volume', params, reply },
    async ({ disks, keys }, request) =>
      diskView(await disks.volumes.show(request.params.volume), keys),
  ),
  route(
    'DELETE /volumes/:volume',
    { summary: 'Delete a volume', params, reply: schemas.deleteView },
    async ({ disks }, { params: { volume }, caller }) =>
      deleteView(await disks.volumes.delete(volume, caller)),
  ),
  route(
    'POST /volumes/:volume/clone',
    { summary: 'Clone a volume', params, body: schemas.rename, reply },
    async ({ disks, keys }, { params: { volume }, body, caller }) =>
      diskView(await disks.volumes.clone(volume, body.name, caller), keys),
  ),
  route(
    'POST /volumes/:volume/rename',
    { summary: 'Rename a volume', params, body: schemas.rename, reply },
    async ({ disks, keys }, { params: { volume }, body, caller }) =>
      diskView(await disks.volumes.rename(volume, body.name, caller), keys),
  ),
  route(
    'POST /volumes/:volume/set',
    {
      summary: 'Change what a volume does when its key is lost',
      params,
      body: schemas.volumeSettings,
      reply,
    },
    async ({ disks, keys }, { params: { volume }, body, caller }) =>
      diskView(await disks.volumes.setOnKeyLoss(volume, body.on_key_loss, caller), keys),
  ),
  route(
    'POST /volumes/:volume/attach',
    {
      summary: 'Make a volume reachable as a file or over NBD',
      params,
      body: schemas.attachOptions,
      reply,
    },
    async ({ disks, keys }, { params: { volume }, body, caller }) => {
      const { read_only: readOnly, cache, transport } = body;
      const options = defined({ readOnly, cache, transport });
      return diskView(await disks.volumes.attach(volume, options, caller), keys);
    },
  ),
  route(
    'POST /volumes/:volume/detach',
    { summary: 'End the attachment of a volume', params, body: schemas.detachOptions, reply },
    async ({ disks, keys }, { params: { volume }, body, caller }) =>
      diskView(await disks.volumes.detach(volume, body, caller), keys),
  ),
  route(
    'POST /volumes/:volume/mount',
    {
      summary: 'Mount the filesystem on a volume',
      params,
      body: schemas.volumeMountOptions,
      reply,
    },
    async ({ disks, keys }, { params: { volume }, body, caller }) => {
      const { directory, mkfs, read_only: readOnly } = body;
      const request = { directory, ...defined({ mkfs, readOnly }) };
      return diskView(await disks.volumes.mount(volume, request, caller), keys);
    },
  ),
  route(
    'POST /volumes/:volume/unmount',
    { summary: 'Unmount the filesystem on a volume', params, reply },
    async ({ disks, keys }, { params: { volume }, caller }) =>
      diskView(await disks.volumes.unmount(volume, caller), keys),
  ),
  route(
    'POST /volumes/:volume/resize',
    { summary: 'Make a volume larger, or smaller', params, body: schemas.volumeResize, reply },
    async ({ disks, keys }, { params: { volume }, body, caller }) => {
      const { size: sizeBytes, grow_filesystem: growFilesystem, shrink, confirm } = body;
      const request = { sizeBytes, ...defined({ growFilesystem, shrink, confirm }) };
      return diskView(await disks.volumes.resize(volume, request, caller), keys);
    },
  ),
  route(
    'POST /volumes/:volume/check',
    {
      summary:
        'Check a volume or a snapshot of it (V@SNAP), and repair a damaged header copy if asked',
      long: true,
      params,
      body: checkRequest,
      reply: checkReply,
    },
    async ({ disks }, { params: { volume }, body, caller, call }) =>
      checkView(await disks.volumes.check(volume, diskCheck(body), caller, call)),
  ),
  route(
    'POST /volumes/:volume/export',
    {
      summary: 'Write the content of a volume or a snapshot of it (V@SNAP) to a new file',
      long: true,
      params,
      body: schemas.diskExport,
      reply: schemas.exportView,
    },
    async ({ disks }, { params: { volume }, body, caller, call }) =>
      exportView(await disks.volumes.export(volume, diskExport(body), caller, call)),
  ),
  route(
    'POST /volumes/:volume/export-key',
    {
      summary: 'Write the raw key of a volume to a new file',
      long: true,
      params,
      body: schemas.keyExport,
      reply: schemas.exportedKeyView,
    },
    ({ disks }, { params: { volume }, body, caller, call }) =>
      disks.volumes.exportKey(volume, body.file, caller, call),
  ),
];

function newVolume(body: Static<typeof schemas.volumeCreate>): NewVolume {
  const { size, on_key_loss: onKeyLoss, ...rest } = body;
  return { ...rest, ...defined({ sizeBytes: size, onKeyLoss }) };
}
