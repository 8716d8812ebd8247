/** The verbs on snapshots. */
import { randomUUID } from 'node:crypto';
import { MadeLayers } from '../disk/layers.js';
import { layersLeaving } from '../disk/lineage.js';
import { assertDiskName, splitSnapshotName } from '../disk/names.js';
import type { DiskRecord } from '../disk/records.js';
import { deleteLayer, insertDisk, insertLayer, setTopLayer } from '../disk/statements.js';
import type { Caller } from '../kms/key-service.js';
import { assertNotAttached, assertNotLost } from '../volume/attachments.js';
import { audited } from '../volume/audited.js';
import { lineageLock, withDisk, type DiskContext } from '../volume/context.js';
import { detailsOf, detailsOfAll } from '../volume/details.js';
import { assertDepth, freezeTop } from '../volume/freeze.js';
import { removeDisk, removeFiles } from '../volume/removal.js';
import type { DeletedDisk, DiskDetails } from '../volume/volumes.js';
import type { Snapshots } from './images.js';

export class SnapshotService implements Snapshots {
  readonly #context: DiskContext;

  constructor(context: DiskContext) {
    this.#context = context;
  }

  create(asked: string, caller: Caller): Promise<DiskDetails> {
    const context = this.#context;
    return audited(context, caller, 'createSnapshot', `snapshot ${asked}`, async () => {
      const { volume, snapshot } = splitSnapshotName(asked);
      assertDiskName('snapshot', snapshot);
      const id = randomUUID();
      const freeze = (disk: DiskRecord): Promise<void> => {
        context.records.assertNameFree('snapshot', snapshot, disk.id);
        return freezeTop(context, disk, caller, async (_session, frozen) => [
          insertDisk(this.#record(id, snapshot, disk, frozen.id)),
        ]);
      };
      // The volume's own lock keeps its snapshots' names apart.
      await withDisk(context, 'volume', volume, freeze);
      return this.show(id);
    });
  }

  async list(volume?: string): Promise<DiskDetails[]> {
    const { records } = this.#context;
    return detailsOfAll(this.#context, () =>
      volume === undefined
        ? records.disksOfKind('snapshot')
        : records.snapshotsOf(records.find('volume', volume).id),
    );
  }

  async show(snapshot: string): Promise<DiskDetails> {
    return detailsOf(this.#context, () => this.#context.records.findSnapshot(snapshot));
  }

  rollback(asked: string, caller: Caller): Promise<DiskDetails> {
    const context = this.#context;
    return audited(context, caller, 'rollbackSnapshot', `snapshot ${asked}`, async () => {
      const snapshot = context.records.findSnapshot(asked);
      // A snapshot's volume cannot be deleted before it, so there is one.
      const volumeId = snapshot.volumeId ?? '';
      const roll = (volume: DiskRecord): Promise<void> => this.#roll(volume, snapshot.id, caller);
      await withDisk(context, 'volume', volumeId, roll, [snapshot.id, lineageLock]);
      return detailsOf(context, () => context.records.find('volume', volumeId));
    });
  }

  delete(asked: string, caller: Caller): Promise<DeletedDisk> {
    const context = this.#context;
    return audited(context, caller, 'deleteSnapshot', `snapshot ${asked}`, () => {
      const { id } = context.records.findSnapshot(asked);
      return context.locks.run([id, lineageLock], () =>
        removeDisk(context, context.records.findSnapshot(id)),
      );
    });
  }

  /** A fresh empty top over the snapshot's layers; the former top goes if nothing else needs it. */
  async #roll(volume: DiskRecord, snapshotId: string, caller: Caller): Promise<void> {
    const context = this.#context;
    const snapshot = context.records.findSnapshot(snapshotId);
    assertNotLost(snapshot);
    assertNotAttached(context, volume, 'roll back');
    assertDepth(context, snapshot);
    const leaving = layersLeaving(context.records, volume.topLayerId, volume);
    await context.keys.withKey(volume.keyId, caller, async (session) => {
      const made = new MadeLayers(context.layers);
      try {
        const { topLayerId: parentId, sizeBytes } = snapshot;
        const top = await made.create(session, { parentId, sizeBytes, preallocated: false });
        await context.records.commit([
          insertLayer(top.record),
          setTopLayer(volume.id, top.record),
          ...leaving.unneeded.map((layer) => deleteLayer(layer.id)),
        ]);
        made.keep();
      } finally {
        await made.dispose();
      }
    });
    await removeFiles(context, leaving);
  }

  #record(id: string, name: string, volume: DiskRecord, topLayerId: string): DiskRecord {
    return {
      id,
      kind: 'snapshot',
      name,
      volumeId: volume.id,
      topLayerId,
      keyId: volume.keyId,
      sizeBytes: volume.sizeBytes,
      state: 'available',
      stateReason: '',
      onKeyLoss: 'deny',
      source: `volume:${volume.name}`,
      sourceSha256: '',
      createdAtMs: this.#context.clock.nowMs(),
    };
  }
}
