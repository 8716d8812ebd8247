/** What a run drives: the services over one state directory. */
import type { AttachmentRecord, DiskRecord, LayerRecord } from '../../../dist/disk/records.js';
import type { DiskChange } from '../../../dist/kms/key-service.js';
import type { DiskName, KeyOperation, TreeFault, VerbOperation } from './operations.js';

/** What the run asks for, once the model has folded ranges and decided on bytes. */
export type TreeRequest =
  | {
      readonly do: 'read' | 'discard' | 'zero';
      readonly disk: DiskName;
      readonly offset: number;
      readonly length: number;
    }
  | {
      readonly do: 'write';
      readonly disk: DiskName;
      readonly offset: number;
      readonly data: Uint8Array;
    }
  | { readonly do: 'flush'; readonly disk: DiskName }
  | { readonly do: 'seek'; readonly disk: DiskName; readonly offset: number }
  | Exclude<VerbOperation, { do: 'fresh' | 'import' }>
  | {
      readonly do: 'fresh';
      readonly disk: DiskName;
      readonly source: DiskName;
      readonly sizeBytes: number;
    }
  | {
      readonly do: 'import';
      readonly disk: DiskName;
      readonly key: number;
      readonly data: Uint8Array;
    }
  | KeyOperation
  /** Reads all of a disk that is not attached, a snapshot too. */
  | { readonly do: 'look'; readonly disk: DiskName }
  | { readonly do: 'survey'; readonly afterAudit: number }
  | { readonly do: 'arm'; readonly fault: TreeFault }
  | { readonly do: 'disarm' };

/** What is there, by the records, the files, the audit log and the open devices. */
export interface Survey {
  /** Layer ids of the container files. */
  readonly files: readonly string[];
  readonly layers: readonly LayerRecord[];
  readonly disks: readonly (DiskRecord & { readonly ref: DiskName })[];
  readonly attachments: readonly (AttachmentRecord & { readonly ref: DiskName })[];
  readonly devices: readonly DeviceState[];
  /** Containers that a start would remove. */
  readonly unclaimed: number;
  /** After `afterAudit`: "snapshot v1@s0: createSnapshot done". */
  readonly audit: readonly string[];
  readonly lastAudit: number;
}

export interface DeviceState {
  readonly ref: DiskName;
  readonly gate: 'open' | 'held' | 'closed';
  readonly poisoned: boolean;
}

export interface TreeAnswer {
  /** "done", the code of the fault, or "killed" when the process ended before it answered. */
  readonly code: string;
  readonly message?: string;
  readonly bytes?: Uint8Array;
  readonly seek?: { readonly data: number | undefined; readonly hole: number | undefined };
  readonly changes?: readonly DiskChange[];
  readonly survey?: Survey;
}

export interface TreeSubject {
  readonly directory: string;
  /** Never rejects. */
  perform(request: TreeRequest): Promise<TreeAnswer>;
  restart(): Promise<void>;
  /** kill -9, and a start. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Every token that a container was made with, one a line, whatever became of the container. */
export const tokensFile = 'tokens.jsonl';
