import type { DiskRecord, LayerRecord } from '../disk/records.js';
import type { DiskContext } from '../volume/context.js';

export interface ImageNaming {
  readonly id: string;
  readonly name: string;
  /** As in DiskRecord. */
  readonly source: string;
  readonly sourceSha256?: string;
}

/** A new image over `top`, to be inserted. */
export function imageRecord(
  { clock }: Pick<DiskContext, 'clock'>,
  naming: ImageNaming,
  top: LayerRecord,
): DiskRecord {
  return {
    sourceSha256: '',
    ...naming,
    kind: 'image',
    volumeId: null,
    topLayerId: top.id,
    keyId: top.keyId,
    sizeBytes: top.sizeBytes,
    state: 'active',
    stateReason: '',
    onKeyLoss: 'deny',
    createdAtMs: clock.nowMs(),
  };
}
