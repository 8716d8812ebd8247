/** The verbs on images. */
import { randomUUID } from 'node:crypto';
import { fullName } from '../disk/lineage.js';
import { assertDiskName } from '../disk/names.js';
import type { DiskRecord } from '../disk/records.js';
import { insertDisk, insertLayer } from '../disk/statements.js';
import { Fault } from '../fault.js';
import type { Caller } from '../kms/key-service.js';
import { openSource } from '../source/open-source.js';
import {
  assertNotAttached,
  assertNotLost,
  attach,
  detach,
  mount,
  unmount,
} from '../volume/attachments.js';
import type { AuditAction } from '../audit/audit.js';
import { audited, auditedRefusals } from '../volume/audited.js';
import { lineageLock, nameLock, withDisk, type DiskContext } from '../volume/context.js';
import { auditedCheck } from '../volume/check.js';
import type { CheckReport, DiskCheck } from '../volume/check-report.js';
import { detailsOf, detailsOfAll } from '../volume/details.js';
import { exportDisk } from '../volume/export.js';
import { freezeTop } from '../volume/freeze.js';
import { assertFormatOfFile, keyAndRoom, keyNotChoosable } from '../volume/new-volumes.js';
import { importSource, noSha256 } from '../volume/import.js';
import { removeDisk } from '../volume/removal.js';
import { renameDisk } from '../volume/volume-service.js';
import type {
  CreatedDisk,
  DeletedDisk,
  DiskDetails,
  DiskExport,
  ExportedDisk,
  HowShown,
  LongCall,
} from '../volume/volumes.js';
import { copyImage } from './copy.js';
import { imageRecord } from './image-record.js';
import type { ImageCopy, Images, NewImage } from './images.js';

export class ImageService implements Images {
  readonly #context: DiskContext;

  constructor(context: DiskContext) {
    this.#context = context;
  }

  create(image: NewImage, caller: Caller, call: LongCall = {}): Promise<CreatedDisk> {
    const context = this.#context;
    return audited(context, caller, 'createImage', `image ${image.name}`, async () => {
      assertDiskName('image', image.name);
      assertOneSource(image);
      const id = randomUUID();
      const remarks = await this.#make(id, image, caller, call);
      return { disk: await this.show(id), remarks };
    });
  }

  async list(): Promise<DiskDetails[]> {
    return detailsOfAll(this.#context, () => this.#context.records.disksOfKind('image'));
  }

  async show(image: string): Promise<DiskDetails> {
    return detailsOf(this.#context, () => this.#context.records.find('image', image));
  }

  rename(image: string, name: string, caller: Caller): Promise<DiskDetails> {
    return renameDisk(this.#context, 'image', image, name, caller);
  }

  attach(image: string, options: Partial<HowShown>, caller: Caller): Promise<DiskDetails> {
    const { cache = 'direct', transport = 'fuse' } = options;
    const settings = { readOnly: true, cache, transport, attachedByMount: false };
    return this.#verb('attachImage', image, caller, async (disk) => {
      await attach(this.#context, disk, settings, caller);
    });
  }

  detach(image: string, options: { force?: boolean }, caller: Caller): Promise<DiskDetails> {
    return this.#verb('detachImage', image, caller, (disk) =>
      detach(this.#context, disk, options.force ?? false),
    );
  }

  mount(image: string, directory: string, caller: Caller): Promise<DiskDetails> {
    const work = (disk: DiskRecord): Promise<void> =>
      mount(this.#context, disk, { directory }, true, caller);
    return this.#verb('mountImage', image, caller, work, `at ${directory}`);
  }

  unmount(image: string, caller: Caller): Promise<DiskDetails> {
    return this.#verb('unmountImage', image, caller, (disk) => unmount(this.#context, disk));
  }

  copy(image: string, copy: ImageCopy, caller: Caller, call: LongCall = {}): Promise<CreatedDisk> {
    const context = this.#context;
    const work = async (disk: DiskRecord): Promise<CreatedDisk> => {
      const id = await copyImage(context, disk, copy, caller, call);
      return { disk: await this.show(id), remarks: [] };
    };
    const run = async (): Promise<CreatedDisk> => {
      assertDiskName('image', copy.name);
      return withDisk(context, 'image', image, work, [nameLock('image', copy.name)]);
    };
    const detail = `to image ${copy.name} under key ${copy.key}`;
    return audited(context, caller, 'copyImage', `image ${image}`, run, detail);
  }

  export(
    image: string,
    target: DiskExport,
    caller: Caller,
    call: LongCall = {},
  ): Promise<ExportedDisk> {
    const context = this.#context;
    return auditedRefusals(context, caller, 'exportImage', `image ${image}`, () =>
      withDisk(context, 'image', image, (disk) => exportDisk(context, disk, target, caller, call)),
    );
  }

  check(
    image: string,
    request: DiskCheck,
    caller: Caller,
    call: LongCall = {},
  ): Promise<CheckReport> {
    const context = this.#context;
    const find = (): DiskRecord => context.records.find('image', image);
    return auditedCheck(context, 'checkImage', `image ${image}`, find, request, caller, call);
  }

  delete(image: string, caller: Caller): Promise<DeletedDisk> {
    const context = this.#context;
    const remove = async (disk: DiskRecord): Promise<DeletedDisk> => {
      assertNotAttached(context, disk, 'delete');
      return removeDisk(context, disk);
    };
    return audited(context, caller, 'deleteImage', `image ${image}`, () =>
      withDisk(context, 'image', image, remove, [lineageLock]),
    );
  }

  async #make(
    id: string,
    image: NewImage,
    caller: Caller,
    call: LongCall,
  ): Promise<readonly string[]> {
    if (image.file !== undefined) return this.#fromFile(id, image, image.file, caller, call);
    if (image.snapshot !== undefined)
      await this.#fromSnapshot(id, image.name, image.snapshot, caller);
    if (image.volume !== undefined) await this.#fromVolume(id, image.name, image.volume, caller);
    return [];
  }

  /** O(1): the image is what the volume's top was. */
  async #fromVolume(id: string, name: string, volume: string, caller: Caller): Promise<void> {
    const context = this.#context;
    const freeze = (disk: DiskRecord): Promise<void> => {
      context.records.assertNameFree('image', name);
      return freezeTop(context, disk, caller, async (_session, frozen) => [
        insertDisk(imageRecord(context, { id, name, source: `volume:${disk.name}` }, frozen)),
      ]);
    };
    await withDisk(context, 'volume', volume, freeze, [nameLock('image', name)]);
  }

  /** A snapshot is read-only already, so the image shares its layers and nothing is made. */
  async #fromSnapshot(id: string, name: string, asked: string, caller: Caller): Promise<void> {
    const context = this.#context;
    const found = context.records.findSnapshot(asked);
    await context.locks.run([found.id, nameLock('image', name)], async () => {
      const snapshot = context.records.findSnapshot(found.id);
      context.records.assertNameFree('image', name);
      assertNotLost(snapshot);
      const source = `snapshot:${fullName(context.records, snapshot)}`;
      const top = context.records.layer(snapshot.topLayerId);
      await context.keys.withKey(snapshot.keyId, caller, () =>
        context.records.commit([insertDisk(imageRecord(context, { id, name, source }, top))]),
      );
    });
  }

  async #fromFile(
    id: string,
    image: NewImage,
    file: string,
    caller: Caller,
    call: LongCall,
  ): Promise<readonly string[]> {
    const context = this.#context;
    return context.locks.run([nameLock('image', image.name)], async () => {
      context.records.assertNameFree('image', image.name);
      const source = await openSource(context, file, image.format, call.signal);
      try {
        const room = { sizeBytes: source.diskBytes, preallocated: false };
        const key = await keyAndRoom(context, image.key, 'ims', room, caller);
        const settings = {
          disk: `image ${image.name}`,
          keyId: key.id,
          ...room,
        };
        const remarks = [...source.remarks];
        await importSource(context, source, settings, caller, call, ({ layer, sha256 }) => {
          if (sha256 === undefined) remarks.push(noSha256);
          const naming = {
            id,
            name: image.name,
            source: `file:${file}`,
            sourceSha256: sha256 ?? '',
          };
          const record = imageRecord(context, naming, layer);
          return context.records.commit([insertLayer(layer), insertDisk(record)]);
        });
        return remarks;
      } finally {
        await source.close();
      }
    });
  }

  #verb(
    action: AuditAction,
    image: string,
    caller: Caller,
    work: (disk: DiskRecord) => Promise<void>,
    detail = '',
  ): Promise<DiskDetails> {
    const workAndShow = async (disk: DiskRecord): Promise<DiskDetails> => {
      await work(disk);
      return this.show(disk.id);
    };
    const run = (): Promise<DiskDetails> => withDisk(this.#context, 'image', image, workAndShow);
    return audited(this.#context, caller, action, `image ${image}`, run, detail);
  }
}

function assertOneSource(image: NewImage): void {
  const { name, volume, snapshot, file, key } = image;
  const sources = [volume, snapshot, file].filter((one) => one !== undefined);
  if (sources.length !== 1) {
    throw new Fault('INVALID_ARGUMENT', `image ${name} needs exactly one source`, {
      hint: 'give one of --volume, --snapshot and --file',
    });
  }
  assertFormatOfFile(`image ${name}`, image);
  if (key !== undefined && file === undefined) {
    throw keyNotChoosable(`image ${name}`, volume ?? snapshot ?? '');
  }
}
