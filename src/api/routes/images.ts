/** The routes of images. */
import { Type } from '@sinclair/typebox';
import * as schemas from '../schemas.js';
import { checkRequest, checkView as checkReply } from '../check-schemas.js';
import { checkView, diskCheck } from './check-view.js';
import { route, type Route } from './route.js';
import { createdView, deleteView, diskExport, diskView, exportView } from './views.js';

const params = schemas.strictObject({ image: schemas.nameText });
const reply = schemas.diskView;

export const imageRoutes: readonly Route[] = [
  route(
    'GET /images',
    { summary: 'List images', reply: Type.Array(schemas.diskView) },
    async ({ disks, keys }) => (await disks.images.list()).map((image) => diskView(image, keys)),
  ),
  route(
    'POST /images',
    {
      summary: 'Create an image from a volume, a snapshot or a file',
      long: true,
      body: schemas.imageCreate,
      reply: schemas.createdDiskView,
    },
    async ({ disks, keys }, { body, caller, call }) =>
      createdView(await disks.images.create(body, caller, call), keys),
  ),
  route(
    'GET /images/:image',
    { summary: 'Show an image', params, reply },
    async ({ disks, keys }, request) =>
      diskView(await disks.images.show(request.params.image), keys),
  ),
  route(
    'DELETE /images/:image',
    { summary: 'Delete an image', params, reply: schemas.deleteView },
    async ({ disks }, { params: { image }, caller }) =>
      deleteView(await disks.images.delete(image, caller)),
  ),
  route(
    'POST /images/:image/copy',
    {
      summary: 'Copy an image to one under another key',
      long: true,
      params,
      body: schemas.imageCopy,
      reply: schemas.createdDiskView,
    },
    async ({ disks, keys }, { params: { image }, body, caller, call }) =>
      createdView(await disks.images.copy(image, body, caller, call), keys),
  ),
  route(
    'POST /images/:image/check',
    {
      summary: 'Check an image, and repair a damaged header copy if asked',
      long: true,
      params,
      body: checkRequest,
      reply: checkReply,
    },
    async ({ disks }, { params: { image }, body, caller, call }) =>
      checkView(await disks.images.check(image, diskCheck(body), caller, call)),
  ),
  route(
    'POST /images/:image/export',
    {
      summary: 'Write the content of an image to a new file',
      long: true,
      params,
      body: schemas.diskExport,
      reply: schemas.exportView,
    },
    async ({ disks }, { params: { image }, body, caller, call }) =>
      exportView(await disks.images.export(image, diskExport(body), caller, call)),
  ),
  route(
    'POST /images/:image/rename',
    { summary: 'Rename an image', params, body: schemas.rename, reply },
    async ({ disks, keys }, { params: { image }, body, caller }) =>
      diskView(await disks.images.rename(image, body.name, caller), keys),
  ),
  route(
    'POST /images/:image/attach',
    {
      summary: 'Make an image reachable as a read-only file or over NBD',
      params,
      body: schemas.imageAttachOptions,
      reply,
    },
    async ({ disks, keys }, { params: { image }, body, caller }) =>
      diskView(await disks.images.attach(image, body, caller), keys),
  ),
  route(
    'POST /images/:image/detach',
    { summary: 'End the attachment of an image', params, body: schemas.detachOptions, reply },
    async ({ disks, keys }, { params: { image }, body, caller }) =>
      diskView(await disks.images.detach(image, body, caller), keys),
  ),
  route(
    'POST /images/:image/mount',
    {
      summary: 'Mount the filesystem on an image, read-only',
      params,
      body: schemas.imageMountOptions,
      reply,
    },
    async ({ disks, keys }, { params: { image }, body, caller }) =>
      diskView(await disks.images.mount(image, body.directory, caller), keys),
  ),
  route(
    'POST /images/:image/unmount',
    { summary: 'Unmount the filesystem on an image', params, reply },
    async ({ disks, keys }, { params: { image }, caller }) =>
      diskView(await disks.images.unmount(image, caller), keys),
  ),
];
