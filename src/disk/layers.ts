/** Container files of layers: made all or nothing, opened only when they are what their record says. */
import { randomUUID } from 'node:crypto';
import { open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import type { Addon, ContainerHeader, DeviceLayer, Secret } from '../device/index.js';
import { makeDirectory } from '../durable.js';
import { Fault } from '../fault.js';
import { fileFault, orFileFault } from '../file-fault.js';
import type { KeySession } from '../kms/key-service.js';
import type { DiskRecords } from './disk-records.js';
import { assertMatches, contextOf } from './layer-match.js';
import type { LayerRecord } from './records.js';
import { insertUnclaimed } from './statements.js';
import { assertFreeSpace, containerOverheadBytes, recordsSpaceBytes } from './sizes.js';
import { formatToken, parseToken } from './token.js';

const containerName = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.luks$/;

export interface NewLayer {
  readonly parentId: string | null;
  readonly sizeBytes: number;
  readonly preallocated: boolean;
}

/** A layer with its data key; whoever holds it releases `device.dataKey`. */
export interface OpenLayer {
  readonly record: LayerRecord;
  readonly device: DeviceLayer;
}

export interface LayerFilesOptions {
  readonly stateDir: string;
  readonly addon: Addon;
  readonly clock: Clock;
  readonly records: DiskRecords;
  /** Hears of what the user should know but that does not stop an open. */
  readonly warn: (text: string) => void;
}

export class LayerFiles {
  readonly #directory: string;
  readonly #addon: Addon;
  readonly #clock: Clock;
  readonly #records: DiskRecords;
  readonly #warn: (text: string) => void;

  constructor(options: LayerFilesOptions) {
    this.#directory = join(options.stateDir, 'layers');
    this.#addon = options.addon;
    this.#clock = options.clock;
    this.#records = options.records;
    this.#warn = options.warn;
    try {
      makeDirectory(this.#directory);
    } catch (error) {
      throw fileFault(error, `make ${this.#directory}`);
    }
  }

  get directory(): string {
    return this.#directory;
  }

  path(layerId: string): string {
    return join(this.#directory, `${layerId}.luks`);
  }

  /**
   * Makes a container with a fresh data key; on failure nothing is left. Throws NO_SPACE before the
   * last space is gone, which records need. The caller releases the key.
   */
  async create(session: KeySession, layer: NewLayer): Promise<OpenLayer> {
    const record: LayerRecord = {
      id: randomUUID(),
      parentId: layer.parentId,
      keyId: session.key.id,
      sizeBytes: layer.sizeBytes,
      generation: 1,
      preallocated: layer.preallocated,
      createdAtMs: this.#clock.nowMs(),
    };
    await assertFreeSpace(this.#directory, containerOverheadBytes + recordsSpaceBytes);
    await this.#records.commit([insertUnclaimed(record.id)]);
    const context = contextOf(record);
    const { dataKey, wrapped } = await session.createDataKey(context);
    try {
      const path = this.path(record.id);
      const token = formatToken(wrapped, context);
      await this.#addon.createContainer(
        {
          path,
          layerId: record.id,
          sizeBytes: record.sizeBytes,
          token,
          preallocate: record.preallocated,
        },
        dataKey,
      );
      return { record, device: this.#deviceLayer(record, dataKey) };
    } catch (error) {
      dataKey.release();
      throw error;
    }
  }

  /** Throws HEADER_INVALID when the container is not what `record` says. The caller releases the key. */
  async open(session: KeySession, record: LayerRecord): Promise<OpenLayer> {
    const path = this.path(record.id);
    const header = await this.#readHeader(record);
    const { wrapped, context } = parseToken(header.token, record.id);
    assertMatches(record, header, context);
    const dataKey = await session.unwrapDataKey(wrapped, context);
    try {
      await this.#addon.verifyContainerKey(path, dataKey);
      if (header.damagedCopies > 0) {
        this.#warn(
          `one of the two header copies of ${path} is damaged; the other one is used, and check --repair mends it`,
        );
      }
      return { record, device: this.#deviceLayer(record, dataKey) };
    } catch (error) {
      dataKey.release();
      throw error;
    }
  }

  /** For a device that is opened closed: its container is looked into when the key comes. */
  withoutKey(record: LayerRecord): Omit<DeviceLayer, 'dataKey'> {
    const { sizeBytes, preallocated } = record;
    return { path: this.path(record.id), sizeBytes, preallocated };
  }

  /** Opens all of a stack, top first, or none of it. The caller releases the keys. */
  async openStack(session: KeySession, stack: readonly LayerRecord[]): Promise<OpenLayer[]> {
    const opened = await Promise.allSettled(stack.map((record) => this.open(session, record)));
    const failed = opened.find((result) => result.status === 'rejected');
    const layers = opened.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    if (failed !== undefined) {
      releaseLayers(layers);
      throw failed.reason;
    }
    return layers;
  }

  /** Host bytes of a layer; 0 when its file is missing. */
  async allocatedBytes(layerId: string): Promise<number> {
    try {
      return (await stat(this.path(layerId))).blocks * 512;
    } catch {
      return 0;
    }
  }

  /** Every container that is there, by its layer's id. Files of other names are not ours. */
  async containers(): Promise<string[]> {
    const names = await orFileFault(`read ${this.#directory}`, () => readdir(this.#directory));
    return names.flatMap((name) => containerName.exec(name)?.[1] ?? []);
  }

  /** What was removed stays so, whatever happens to the host. */
  async syncDirectory(): Promise<void> {
    await orFileFault(`flush ${this.#directory}`, async () => {
      const directory = await open(this.#directory, 'r');
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
    });
  }

  /** Removes a container; one that is gone already is fine. */
  async remove(layerId: string): Promise<void> {
    await orFileFault(`remove ${this.path(layerId)}`, async () => {
      try {
        await unlink(this.path(layerId));
      } catch (error) {
        if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
      }
    });
  }

  /** Removes a container that no record needs. One that cannot be removed goes with the next start. */
  async discard(layerId: string): Promise<void> {
    try {
      await this.remove(layerId);
    } catch (error) {
      this.#warn(`container ${layerId}.luks, which no disk needs, stays: ${String(error)}`);
    }
  }

  async #readHeader(record: LayerRecord): Promise<ContainerHeader> {
    try {
      return await this.#addon.readContainerHeader(this.path(record.id));
    } catch (error) {
      if (error instanceof Fault && error.code === 'HEADER_INVALID') {
        throw new Fault('HEADER_INVALID', `layer ${record.id}: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  #deviceLayer(record: LayerRecord, dataKey: Secret): DeviceLayer {
    return { ...this.withoutKey(record), dataKey };
  }
}

export function releaseLayers(layers: readonly OpenLayer[]): void {
  for (const layer of layers) layer.device.dataKey.release();
}

/** Layers made for one use case: their keys are released, and unless kept their files removed. */
export class MadeLayers {
  readonly #files: LayerFiles;
  readonly #made: OpenLayer[] = [];
  #kept = false;

  constructor(files: LayerFiles) {
    this.#files = files;
  }

  async create(session: KeySession, layer: NewLayer): Promise<OpenLayer> {
    const made = await this.#files.create(session, layer);
    this.#made.push(made);
    return made;
  }

  /** The records are committed: the files stay. */
  keep(): void {
    this.#kept = true;
  }

  /** Call in `finally`. */
  async dispose(): Promise<void> {
    releaseLayers(this.#made);
    if (this.#kept) return;
    await Promise.all(this.#made.map((made) => this.#files.discard(made.record.id)));
  }
}

function isNodeError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error;
}
