/** What `check` asks and answers over the API. */

export interface CheckRequest {
  /** Every sector that was written is read, too. */
  read_data?: boolean;
  /** A damaged header copy is written anew from the good one. */
  repair?: boolean;
}

export interface FindingView {
  /** A name that stays, "header-copy-damaged". */
  kind: string;
  /** `note`: not as keyvol leaves it, but the disk is whole. */
  severity: 'damage' | 'note';
  message: string;
  cure: string;
  layer?: string;
  container?: string;
  /** Of the disk, in bytes. */
  offset?: number;
  length?: number;
  /** It was there, and is no more. */
  repaired: boolean;
}

export interface CheckedLayerView {
  id: string;
  container: string;
  size: number;
  /** What of it, from its start, can show: a smaller layer above it hides the rest. */
  visible: number;
  key: 'right' | 'wrong' | 'not-checked';
  findings: number;
}

export interface CheckView {
  name: string;
  kind: 'volume' | 'image' | 'snapshot';
  /** No damage is left. */
  clean: boolean;
  /** Why the data keys were not tried; absent when they were. */
  key_unusable?: string;
  /** Top first. */
  layers: CheckedLayerView[];
  findings: FindingView[];
  /** With `read_data`, unless damage keeps the disk from being opened. */
  data?: { read: number; failed: number };
  /** What was seen of other disks. */
  remarks: string[];
}
