/**
 * The operations of a run over trees of disks: plain data, made ahead from a seed. They name disks
 * by slots, so that any subsequence of a run is a run: what is not there, or is there already, is
 * refused, and the model knows with which fault.
 */
import type { BlockFault, BlockOperation } from '../../../dist/device/index.js';

/** "v3" is a volume, "i1" an image, "v3@s0" a snapshot. */
export type DiskName = string;

/** Offsets and lengths in bytes; the model folds them into the disk's size. */
interface Range {
  readonly disk: DiskName;
  readonly offset: number;
  readonly length: number;
}

export type KeyAction = 'disable' | 'enable' | 'schedule' | 'cancel';

export type IoOperation =
  | ({ readonly do: 'read' | 'discard' | 'zero' } & Range)
  | ({ readonly do: 'write'; readonly fill: number } & Range)
  | { readonly do: 'flush'; readonly disk: DiskName }
  | { readonly do: 'seek'; readonly disk: DiskName; readonly offset: number };

export type VerbOperation =
  | {
      readonly do: 'create';
      readonly disk: DiskName;
      readonly sectors: number;
      readonly key: number;
      readonly untilDetach: boolean;
    }
  /** An image from a raw file. */
  | {
      readonly do: 'import';
      readonly disk: DiskName;
      readonly sectors: number;
      readonly key: number;
      readonly fill: number;
    }
  /** A volume from an image or snapshot, larger by `grow` sectors; smaller is refused. */
  | {
      readonly do: 'fresh';
      readonly disk: DiskName;
      readonly source: DiskName;
      readonly grow: number;
    }
  | { readonly do: 'clone' | 'image'; readonly disk: DiskName; readonly source: DiskName }
  | { readonly do: 'snapshot' | 'rollback' | 'delete' | 'detach'; readonly disk: DiskName }
  /** A new top of another size over a detached volume, as an offline resize would make it. */
  | { readonly do: 'resize'; readonly disk: DiskName; readonly sectors: number }
  | { readonly do: 'attach'; readonly disk: DiskName; readonly readOnly: boolean };

export interface KeyOperation {
  readonly do: 'key';
  readonly key: number;
  readonly action: KeyAction;
}

export type SimpleOperation = IoOperation | VerbOperation | KeyOperation;

export type TreeFault = Pick<BlockFault, 'afterCalls' | 'errno' | 'sticky'> & {
  readonly operation: BlockOperation;
};

export type TreeOperation =
  | SimpleOperation
  /** All of a disk is compared. */
  | { readonly do: 'check'; readonly disk: DiskName }
  /** The storage fails while `during` runs. */
  | { readonly do: 'fault'; readonly fault: TreeFault; readonly during: SimpleOperation }
  /** A clean stop and start. */
  | { readonly do: 'restart' }
  /** kill -9 so long after `rush` was sent, all at once and on different disks; and a start. */
  | { readonly do: 'kill'; readonly rush: readonly SimpleOperation[]; readonly afterMs: number };

export const sectorBytes = 4096;

export const isIo = (operation: TreeOperation): operation is IoOperation =>
  ['read', 'write', 'discard', 'zero', 'flush', 'seek'].includes(operation.do);

/** The disks that an operation names; a snapshot's volume counts as named. */
export function namesOf(operation: TreeOperation): DiskName[] {
  if (operation.do === 'fault') return namesOf(operation.during);
  const disk = 'disk' in operation ? [operation.disk] : [];
  const source = 'source' in operation ? [operation.source] : [];
  return [...disk, ...source].flatMap((name) =>
    name.includes('@') ? [name, volumeOf(name)] : [name],
  );
}

export const volumeOf = (name: DiskName): DiskName => name.split('@')[0] ?? name;

export function kindOf(name: DiskName): 'volume' | 'image' | 'snapshot' {
  if (name.includes('@')) return 'snapshot';
  return name.startsWith('i') ? 'image' : 'volume';
}

/** One operation a line, as KEYVOL_TREE_REPLAY takes them. */
export function formatRun(operations: readonly TreeOperation[]): string {
  return operations.map((operation) => `${JSON.stringify(operation)}\n`).join('');
}

export function parseRun(text: string): TreeOperation[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  // Whoever pastes a run takes it from formatRun.
  return lines.map((line) => JSON.parse(line) as TreeOperation);
}
