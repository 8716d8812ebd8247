/** How the views of the API read to a person. */
import type { AttachmentView, DeleteView, DiskView, KeyView } from '../api/types.js';
import { formatSize } from '../units.js';
import { counted, fields, localTime, table } from './print.js';

export function keyTable(keys: readonly KeyView[]): string {
  return table(
    ['NAME', 'STATE', 'VERSION', 'CREATED', 'ID', 'DESCRIPTION'],
    keys.map((key) => [
      key.name,
      keyState(key),
      String(key.version),
      localTime(key.created_at),
      key.id,
      key.description,
    ]),
  );
}

export function keyFields(key: KeyView): string {
  return fields([
    ['name', key.name],
    ['id', key.id],
    ['state', keyState(key)],
    ['description', key.description],
    ['kind', key.default ? 'default key of a service' : undefined],
    ['origin', key.origin],
    ['spec', key.spec],
    ['version', String(key.version)],
    ['created', localTime(key.created_at)],
    ['deletion', key.deletion_at && localTime(key.deletion_at)],
  ]);
}

function keyState(key: KeyView): string {
  if (key.deletion_days_left === undefined) return key.state;
  return `${key.state} (${counted(key.deletion_days_left, 'day')} left)`;
}

/** As commands take it: "db", and "db@monday" of a snapshot. */
export function titleOf({ name, volume }: DiskView): string {
  return volume === undefined ? name : `${volume}@${name}`;
}

/** For volumes, images and snapshots alike. */
export function diskTable(disks: readonly DiskView[]): string {
  return table(
    ['NAME', 'SIZE', 'USED', 'SHARED', 'KEY', 'KEY-STATE', 'STATE', 'ATTACHED'],
    disks.map((disk) => [
      titleOf(disk),
      formatSize(disk.size),
      formatSize(disk.used),
      formatSize(disk.shared),
      disk.key_name,
      disk.key_state,
      disk.state,
      attachedAt(disk.attachment),
    ]),
  );
}

function attachedAt(attachment: AttachmentView | undefined): string {
  if (attachment === undefined) return '';
  const place = attachment.mounted_at ?? placeOf(attachment);
  const remarks = [
    attachment.gate === 'open' ? '' : attachment.gate,
    attachment.poisoned ? 'poisoned' : '',
    attachment.read_only ? 'read-only' : '',
  ].filter((remark) => remark !== '');
  return remarks.length === 0 ? place : `${place} (${remarks.join(', ')})`;
}

/** The path of its file, or its URI. */
function placeOf({ path, uri = '' }: AttachmentView): string {
  return path ?? uri;
}

export function diskFields(disk: DiskView): string {
  return fields([
    ['name', titleOf(disk)],
    ['id', disk.id],
    ['kind', disk.kind],
    ['volume', disk.volume],
    ['state', disk.state],
    ['reason', disk.state_reason],
    ['size', exactSize(disk.size)],
    ['used', exactSize(disk.used)],
    ['shared', exactSize(disk.shared)],
    ['layers', String(disk.layers)],
    ['key', `${disk.key_name} (${disk.key_id})`],
    ['key state', disk.key_state],
    ['on key loss', disk.on_key_loss],
    ['source', disk.source],
    ['source sha256', disk.source_sha256],
    ['created', localTime(disk.created_at)],
    [
      'health',
      disk.health.state === 'ok' ? 'ok' : `${disk.health.state}: ${disk.health.reason ?? ''}`,
    ],
    ['cure', disk.health.cure],
    ...attachmentFields(disk.attachment),
  ]);
}

function attachmentFields(
  attachment: AttachmentView | undefined,
): (readonly [string, string | undefined])[] {
  if (attachment === undefined) return [['attached', 'no']];
  return [
    ['attached', placeOf(attachment)],
    ['access', attachment.read_only ? 'read-only' : 'read and write'],
    ['cache', attachment.cache],
    ['gate', attachment.gate],
    ['mounted at', attachment.mounted_at],
    ['filesystem', attachment.filesystem],
  ];
}

function exactSize(bytes: number): string {
  const size = formatSize(bytes);
  return bytes < 1024 ? size : `${size} (${String(bytes)} bytes)`;
}

/** "attached volume db at /run/keyvol/disks/volumes/db". */
export function attachedLine(disk: DiskView): string {
  const { attachment } = disk;
  if (attachment === undefined) return `attached ${disk.kind} ${disk.name}`;
  const access = attachment.read_only && disk.kind === 'volume' ? ', read-only' : '';
  return `attached ${disk.kind} ${disk.name} at ${placeOf(attachment)}${access}`;
}

/** "mounted volume db at /mnt/db (ext4)". */
export function mountedLine(disk: DiskView): string {
  const place = disk.attachment?.mounted_at;
  const filesystem = disk.attachment?.filesystem;
  return [
    `mounted ${disk.kind} ${disk.name}`,
    place === undefined ? '' : ` at ${place}`,
    filesystem === undefined ? '' : ` (${filesystem})`,
  ].join('');
}

export function createdLine(disk: DiskView): string {
  const size = formatSize(disk.size);
  return `created ${disk.kind} ${titleOf(disk)}: ${size}, encrypted under key ${disk.key_name}`;
}

export function deletedLine(kind: string, deleted: DeleteView): string {
  if (deleted.kept_layers === 0) return `deleted ${kind} ${deleted.name}`;
  const layers = counted(deleted.kept_layers, 'layer');
  const needers = deleted.needed_by.length === 0 ? 'others' : deleted.needed_by.join(', ');
  return `deleted ${kind} ${deleted.name}; ${layers} kept, needed by ${needers}`;
}
