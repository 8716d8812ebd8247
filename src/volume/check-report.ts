/** What a check of a disk answers. */
import type { Finding } from '../disk/findings.js';
import type { DiskKind } from '../disk/records.js';

export interface DiskCheck {
  /** Every sector that was written is read, too. */
  readonly readData?: boolean;
  /** A damaged header copy is written anew from the good one. */
  readonly repair?: boolean;
}

export interface CheckedLayer {
  readonly id: string;
  readonly container: string;
  readonly sizeBytes: number;
  /** From its start: what is above the smallest size of the layers from the top to it never shows. */
  readonly visibleBytes: number;
  readonly key: 'right' | 'wrong' | 'not-checked';
  readonly findings: number;
}

export interface CheckReport {
  /** "db", or "db@monday" for a snapshot. */
  readonly name: string;
  readonly kind: DiskKind;
  /** No damage is left. */
  readonly clean: boolean;
  /** Why the data keys were not tried; absent when they were. */
  readonly keyUnusable?: string;
  /** Top first. */
  readonly layers: readonly CheckedLayer[];
  readonly findings: readonly Finding[];
  /** With `readData`, unless damage keeps the disk from being opened. */
  readonly data?: { readonly readBytes: number; readonly failedBytes: number };
  /** What was seen of other disks. */
  readonly remarks: readonly string[];
}
