/** What operations do to the model, once they were done. */
import { Content, filled, sectorsOf } from './content.js';
import type { ModelAttachment, ModelDisk, TreeModel } from './model.js';
import {
  sectorBytes,
  volumeOf,
  type DiskName,
  type IoOperation,
  type VerbOperation,
} from './operations.js';

/** A verb that was done; `detach` too where it told of a loss. */
export function takeEffect(model: TreeModel, operation: VerbOperation): void {
  switch (operation.do) {
    case 'create': {
      const { key, sectors, untilDetach } = operation;
      const content = new Content(Buffer.alloc(sectors * sectorBytes));
      addBottom(model, operation.disk, { key, untilDetach }, content);
      return;
    }
    case 'import': {
      const { key, sectors, fill } = operation;
      const content = new Content(filled(fill, 0, sectors * sectorBytes));
      addBottom(model, operation.disk, { key, untilDetach: false }, content);
      return;
    }
    case 'fresh': {
      const source = model.get(operation.source);
      const request = model.request(operation);
      const sizeBytes = request.do === 'fresh' ? request.sizeBytes : source.content.sizeBytes;
      const layer = { parent: source.layer, sizeBytes };
      add(model, operation.disk, { ...source, layer, untilDetach: false }, sizeBytes);
      return;
    }
    case 'clone': {
      const source = model.get(operation.source);
      const parent = freeze(source);
      const layer = { parent, sizeBytes: parent.sizeBytes };
      add(model, operation.disk, { ...source, layer });
      return;
    }
    case 'image': {
      const source = model.get(operation.source);
      const layer = operation.source.includes('@') ? source.layer : freeze(source);
      add(model, operation.disk, { ...source, layer, untilDetach: false });
      return;
    }
    case 'snapshot': {
      const volume = model.get(volumeOf(operation.disk));
      const layer = freeze(volume);
      add(model, operation.disk, { ...volume, layer });
      return;
    }
    case 'rollback': {
      const snapshot = model.get(operation.disk);
      const volume = model.get(volumeOf(operation.disk));
      volume.content = snapshot.content.copy();
      volume.layer = { parent: snapshot.layer, sizeBytes: snapshot.content.sizeBytes };
      return;
    }
    case 'resize': {
      const volume = model.get(operation.disk);
      const sizeBytes = operation.sectors * sectorBytes;
      volume.content = volume.content.copy(sizeBytes);
      volume.layer = { parent: volume.layer, sizeBytes };
      return;
    }
    case 'delete':
      model.disks.delete(operation.disk);
      return;
    case 'attach': {
      const readOnly = operation.readOnly || operation.disk.startsWith('i');
      model.get(operation.disk).attachment = attached(readOnly, true);
      return;
    }
    case 'detach':
      model.get(operation.disk).attachment = undefined;
  }
}

export function attached(readOnly: boolean, open: boolean): ModelAttachment {
  const unflushed = new Map<number, Buffer[]>();
  return { readOnly, open, poisoned: false, unflushed };
}

/** What a flush makes durable cannot be lost any more. */
export function flushed(disk: ModelDisk): void {
  disk.attachment?.unflushed.clear();
}

/** A flush failed: each sector is what it was at the last one, or at any change since. */
export function poison(disk: ModelDisk): void {
  if (disk.attachment === undefined) return;
  disk.attachment.poisoned = true;
  for (const [sector, before] of disk.attachment.unflushed) disk.content.mayHold(sector, before);
}

/** A write, discard or write-zeroes that was done; what was read or flushed changes nothing. */
export function change(model: TreeModel, operation: IoOperation): void {
  const disk = model.get(operation.disk);
  if (operation.do === 'flush') flushed(disk);
  const { offset, data } = changeOf(model, operation) ?? { offset: 0, data: Buffer.alloc(0) };
  for (const sector of sectorsOf(offset, data.length)) {
    const before = disk.attachment?.unflushed.get(sector) ?? [];
    disk.attachment?.unflushed.set(sector, [...before, disk.content.sector(sector)]);
  }
  disk.content.write(offset, data);
}

/** One that failed or was cut short: each sector is what it was or what it would be. */
export function maybeChange(model: TreeModel, operation: IoOperation): void {
  const { content } = model.get(operation.disk);
  const changed = changeOf(model, operation);
  if (changed === undefined) return;
  const sectors = sectorsOf(changed.offset, changed.data.length);
  const before = sectors.map((sector) => content.sector(sector));
  change(model, operation);
  sectors.forEach((sector, index) => content.mayHold(sector, before.slice(index, index + 1)));
}

function changeOf(
  model: TreeModel,
  operation: IoOperation,
): { offset: number; data: Uint8Array } | undefined {
  const request = model.request(operation);
  if (request.do === 'write') return request;
  if (request.do !== 'discard' && request.do !== 'zero') return undefined;
  return { offset: request.offset, data: Buffer.alloc(request.length) };
}

function addBottom(
  model: TreeModel,
  name: DiskName,
  settings: Pick<ModelDisk, 'key' | 'untilDetach'>,
  content: Content,
): void {
  const layer = { parent: undefined, sizeBytes: content.sizeBytes };
  model.disks.set(name, { ...settings, layer, content, attachment: undefined });
}

function add(
  model: TreeModel,
  name: DiskName,
  like: ModelDisk,
  sizeBytes = like.content.sizeBytes,
): void {
  model.disks.set(name, { ...like, content: like.content.copy(sizeBytes), attachment: undefined });
}

/** The former top; whatever was written to it is durable. */
function freeze(volume: ModelDisk): ModelDisk['layer'] {
  const frozen = volume.layer;
  volume.layer = { parent: frozen, sizeBytes: volume.content.sizeBytes };
  flushed(volume);
  return frozen;
}
