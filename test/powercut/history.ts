/**
 * What a workload asked for and was told, as a plain list that can be kept as JSON. A power cut
 * after the nth fact must leave everything that the first n acknowledge.
 */

/** Snapshots are named "volume@snapshot". Sectors are 4096 bytes, numbered from the disk's start. */
export type Operation =
  | { readonly do: 'create-key' | 'disable-key' | 'enable-key'; readonly alias: string }
  | { readonly do: 'rename-key'; readonly alias: string; readonly to: string }
  | {
      readonly do: 'create-volume';
      readonly name: string;
      readonly sectors: number;
      /** Without a key, image or snapshot the volume has the key evs/default. */
      readonly key?: string;
      readonly image?: string;
      readonly snapshot?: string;
      readonly preallocate?: boolean;
    }
  | { readonly do: 'clone'; readonly volume: string; readonly name: string }
  | { readonly do: 'create-snapshot' | 'rollback'; readonly snapshot: string }
  | {
      readonly do: 'create-image';
      readonly name: string;
      /** Exactly one of these. */
      readonly volume?: string;
      readonly snapshot?: string;
    }
  | {
      readonly do: 'rename';
      readonly kind: 'volume' | 'image';
      readonly name: string;
      readonly to: string;
    }
  | {
      readonly do: 'delete';
      readonly kind: 'volume' | 'image' | 'snapshot';
      readonly name: string;
    }
  | { readonly do: 'attach' | 'detach'; readonly volume: string }
  | {
      readonly do: 'resize';
      readonly volume: string;
      readonly sectors: number;
      /** To fewer sectors, detached. */
      readonly shrink?: boolean;
    }
  | { readonly do: 'flush'; readonly volume: string }
  | {
      /** Every sector gets `sectorPattern(sector, version)`. */
      readonly do: 'write';
      readonly volume: string;
      readonly sector: number;
      readonly sectors: number;
      /** Never used for another write of the history; at least 1. */
      readonly version: number;
    }
  | {
      readonly do: 'discard';
      readonly volume: string;
      readonly sector: number;
      readonly sectors: number;
    }
  /** The daemon stops in good order: what is attached is flushed, and attached again at its start. */
  | { readonly do: 'stop' };

export type DataRequest = Extract<Operation, { readonly do: 'write' | 'discard' | 'flush' }>;

/** Data requests change no records. */
export function isDataRequest(operation: Operation): operation is DataRequest {
  return operation.do === 'write' || operation.do === 'discard' || operation.do === 'flush';
}

/** `id` pairs a request with its answer. A request without an answer may have been done or not. */
export type Fact =
  | { readonly fact: 'asked'; readonly id: number; readonly operation: Operation }
  | { readonly fact: 'done'; readonly id: number }
  /** Refused with a Fault: nothing was changed. */
  | { readonly fact: 'refused'; readonly id: number }
  /** Refused, and done all the same: the answer to an error that came too late. */
  | { readonly fact: 'half-done'; readonly id: number };

export type History = readonly Fact[];
