/**
 * The model of trees of disks in memory: what each disk holds, which layers it needs, what state
 * its key and its attachment are in. It knows the outcome of every operation beforehand.
 */
import { maxStackDepth } from '../../../dist/disk/lineage.js';
import { type Content, filled } from './content.js';
import {
  isIo,
  kindOf,
  sectorBytes,
  volumeOf,
  type DiskName,
  type IoOperation,
  type KeyAction,
  type SimpleOperation,
} from './operations.js';
import type { TreeRequest } from './subject.js';

/** Compared by identity. */
export interface ModelLayer {
  readonly parent: ModelLayer | undefined;
  readonly sizeBytes: number;
}

export interface ModelAttachment {
  readonly readOnly: boolean;
  open: boolean;
  poisoned: boolean;
  /** What sectors held before each change since the last flush. */
  readonly unflushed: Map<number, Buffer[]>;
}

export interface ModelDisk {
  readonly key: number;
  readonly untilDetach: boolean;
  layer: ModelLayer;
  content: Content;
  attachment: ModelAttachment | undefined;
}

export type ModelKeyState = 'enabled' | 'disabled' | 'pending-deletion';

export interface ModelLimits {
  /** Verbs that would go beyond are left out. */
  readonly depth: number;
  readonly layers: number;
  readonly attached: number;
}

const keyChanges: Record<KeyAction, Record<ModelKeyState, ModelKeyState | { refused: string }>> = {
  // Enabling what is enabled, and disabling what is disabled, is a friendly no-op.
  enable: {
    enabled: 'enabled',
    disabled: 'enabled',
    'pending-deletion': { refused: 'KEY_PENDING_DELETION' },
  },
  disable: {
    enabled: 'disabled',
    disabled: 'disabled',
    'pending-deletion': { refused: 'KEY_PENDING_DELETION' },
  },
  schedule: {
    enabled: 'pending-deletion',
    disabled: 'pending-deletion',
    'pending-deletion': { refused: 'KEY_ALREADY_PENDING_DELETION' },
  },
  cancel: {
    enabled: { refused: 'KEY_NOT_PENDING_DELETION' },
    disabled: { refused: 'KEY_NOT_PENDING_DELETION' },
    'pending-deletion': 'disabled',
  },
};

const notFound = {
  volume: 'VOLUME_NOT_FOUND',
  image: 'IMAGE_NOT_FOUND',
  snapshot: 'SNAPSHOT_NOT_FOUND',
} as const;
const exists = {
  volume: 'VOLUME_EXISTS',
  image: 'IMAGE_EXISTS',
  snapshot: 'SNAPSHOT_EXISTS',
} as const;

export class TreeModel {
  readonly disks = new Map<DiskName, ModelDisk>();
  readonly keys: ModelKeyState[];

  constructor(
    keyCount: number,
    private readonly limits: ModelLimits,
  ) {
    this.keys = Array.from({ length: keyCount }, () => 'enabled');
  }

  /**
   * Names what is there in place of what is not, most of the time: I/O goes to a disk that is
   * attached, copies are made of one that exists.
   */
  aimed(operation: SimpleOperation): SimpleOperation {
    if (isIo(operation)) {
      if (this.disks.get(operation.disk)?.attachment !== undefined) return operation;
      const names = this.attached().map(({ name }) => name);
      return { ...operation, disk: oneOf(names, operation.disk) };
    }
    if ('source' in operation) return { ...operation, source: this.#there(operation.source) };
    if (operation.do !== 'rollback' && operation.do !== 'detach') return operation;
    return { ...operation, disk: this.#there(operation.disk) };
  }

  /** "done", the code it is refused with, or "skip" when the run leaves it out. */
  expected(operation: SimpleOperation): string {
    if (this.#isLeftOut(operation)) return 'skip';
    return this.#refusal(operation) ?? 'done';
  }

  /** With ranges folded into the disk's size. For operations that are not left out. */
  request(operation: SimpleOperation): TreeRequest {
    switch (operation.do) {
      case 'write': {
        const { offset, length } = this.#range(operation);
        const data = filled(operation.fill, offset, length);
        return { do: 'write', disk: operation.disk, offset, data };
      }
      case 'read':
      case 'discard':
      case 'zero':
        return { do: operation.do, disk: operation.disk, ...this.#range(operation) };
      case 'seek':
        return {
          ...operation,
          offset: operation.offset % this.get(operation.disk).content.sizeBytes,
        };
      case 'fresh': {
        const { disk, source } = operation;
        const sourceBytes = this.disks.get(source)?.content.sizeBytes ?? sectorBytes;
        // A size of nothing is refused for another reason than a size below the source's.
        const grow = sourceBytes === sectorBytes ? Math.max(0, operation.grow) : operation.grow;
        return { do: 'fresh', disk, source, sizeBytes: sourceBytes + grow * sectorBytes };
      }
      case 'import': {
        const { disk, key, fill, sectors } = operation;
        return { do: 'import', disk, key, data: filled(fill, 0, sectors * sectorBytes) };
      }
      default:
        return operation;
    }
  }

  get(name: DiskName): ModelDisk {
    const disk = this.disks.get(name);
    if (disk === undefined) throw new Error(`the model has no ${name}`);
    return disk;
  }

  usable(key: number): boolean {
    return this.keys[key] === 'enabled';
  }

  layers(): Set<ModelLayer> {
    return new Set([...this.disks.values()].flatMap((disk) => chainOf(disk.layer)));
  }

  attached(): { name: DiskName; disk: ModelDisk; attachment: ModelAttachment }[] {
    return [...this.disks].flatMap(([name, disk]) =>
      disk.attachment === undefined ? [] : [{ name, disk, attachment: disk.attachment }],
    );
  }

  nextKeyState(key: number, action: KeyAction): ModelKeyState | { refused: string } {
    return keyChanges[action][this.keys[key] ?? 'enabled'];
  }

  #there(name: DiskName): DiskName {
    if (this.disks.has(name) || name.endsWith('0')) return name;
    return oneOf(
      [...this.disks.keys()].filter((other) => kindOf(other) === kindOf(name)),
      name,
    );
  }

  #isLeftOut(operation: SimpleOperation): boolean {
    if ('offset' in operation || operation.do === 'flush') {
      return this.disks.get(operation.disk)?.attachment === undefined;
    }
    if (operation.do === 'attach') return this.attached().length >= this.limits.attached;
    if (operation.do === 'rollback') return this.#isTooDeep(operation.disk);
    if (operation.do === 'snapshot') return this.#isTooDeep(volumeOf(operation.disk));
    if ('source' in operation) return this.#isTooDeep(operation.source);
    // The record level knows nothing of the volume's state, so the run must.
    if (operation.do === 'resize') {
      const disk = this.disks.get(operation.disk);
      return (
        disk?.attachment !== undefined ||
        !this.usable(disk?.key ?? 0) ||
        this.#isTooDeep(operation.disk)
      );
    }
    return false;
  }

  #isTooDeep(name: DiskName): boolean {
    const disk = this.disks.get(name);
    if (disk === undefined) return false;
    return (
      chainOf(disk.layer).length >= this.limits.depth || this.layers().size >= this.limits.layers
    );
  }

  #refusal(operation: SimpleOperation): string | undefined {
    switch (operation.do) {
      case 'create':
      case 'import':
        return this.#taken(operation.disk) ?? this.#locked(operation.key);
      case 'fresh':
        return (
          this.#missing(operation.source) ??
          this.#taken(operation.disk) ??
          this.#tooDeep(operation.source) ??
          this.#lockedDisk(operation.source) ??
          (this.#isSmaller(operation) ? 'INVALID_SIZE' : undefined)
        );
      case 'clone':
        return (
          this.#missing(operation.source) ??
          this.#taken(operation.disk) ??
          this.#unfreezable(operation.source)
        );
      case 'image': {
        const { source, disk } = operation;
        const last = kindOf(source) === 'volume' ? this.#unfreezable(source) : undefined;
        return this.#missing(source) ?? this.#taken(disk) ?? last ?? this.#lockedDisk(source);
      }
      case 'snapshot': {
        const volume = volumeOf(operation.disk);
        return this.#missing(volume) ?? this.#taken(operation.disk) ?? this.#unfreezable(volume);
      }
      case 'rollback': {
        const missing = this.#missing(operation.disk);
        if (missing !== undefined) return missing;
        if (this.get(volumeOf(operation.disk)).attachment !== undefined) return 'WRONG_STATE';
        return this.#tooDeep(operation.disk) ?? this.#lockedDisk(operation.disk);
      }
      case 'resize':
        return this.#missing(operation.disk);
      case 'delete':
        return this.#missing(operation.disk) ?? this.#undeletable(operation.disk);
      case 'attach': {
        const missing = this.#missing(operation.disk);
        if (missing !== undefined) return missing;
        if (this.get(operation.disk).attachment !== undefined) return 'WRONG_STATE';
        return this.#lockedDisk(operation.disk);
      }
      case 'detach': {
        const missing = this.#missing(operation.disk);
        if (missing !== undefined) return missing;
        const { attachment } = this.get(operation.disk);
        if (attachment === undefined) return 'WRONG_STATE';
        // Detached it is, and says that its last writes may be lost.
        return attachment.poisoned ? 'IO_ERROR' : undefined;
      }
      case 'key': {
        const next = this.nextKeyState(operation.key, operation.action);
        return typeof next === 'string' ? undefined : next.refused;
      }
      default:
        return this.#refusedIo(operation);
    }
  }

  #refusedIo(operation: IoOperation): string | undefined {
    const { attachment } = this.get(operation.disk);
    if (attachment?.open !== true) return 'GATE_CLOSED';
    if (operation.do === 'read' || operation.do === 'seek') return undefined;
    if (operation.do === 'flush' && attachment.readOnly) return undefined;
    if (attachment.readOnly) return 'READ_ONLY';
    return attachment.poisoned ? 'DISK_POISONED' : undefined;
  }

  #missing(name: DiskName): string | undefined {
    const volume = volumeOf(name);
    if (!this.disks.has(volume)) return notFound[kindOf(volume)];
    return this.disks.has(name) ? undefined : notFound[kindOf(name)];
  }

  #taken(name: DiskName): string | undefined {
    return this.disks.has(name) ? exists[kindOf(name)] : undefined;
  }

  #locked(key: number): string | undefined {
    const state = this.keys[key];
    if (state === 'disabled') return 'KEY_DISABLED';
    return state === 'pending-deletion' ? 'KEY_PENDING_DELETION' : undefined;
  }

  #lockedDisk(name: DiskName): string | undefined {
    const disk = this.disks.get(name);
    return disk === undefined ? undefined : this.#locked(disk.key);
  }

  #tooDeep(name: DiskName): string | undefined {
    return chainOf(this.get(name).layer).length >= maxStackDepth ? 'LIMIT_REACHED' : undefined;
  }

  /** What keeps a volume's top from being frozen. */
  #unfreezable(name: DiskName): string | undefined {
    const disk = this.disks.get(name);
    if (disk === undefined) return undefined;
    const refused = this.#tooDeep(name) ?? this.#locked(disk.key);
    if (refused !== undefined) return refused;
    const { attachment } = disk;
    if (attachment === undefined || attachment.readOnly) return undefined;
    return attachment.poisoned ? 'DISK_POISONED' : undefined;
  }

  #undeletable(name: DiskName): string | undefined {
    if (this.get(name).attachment !== undefined) return 'WRONG_STATE';
    const hasSnapshots = [...this.disks.keys()].some((other) => other.startsWith(`${name}@`));
    return hasSnapshots ? 'WRONG_STATE' : undefined;
  }

  #isSmaller(operation: SimpleOperation & { do: 'fresh' }): boolean {
    const request = this.request(operation);
    const sourceBytes = this.get(operation.source).content.sizeBytes;
    return request.do === 'fresh' && request.sizeBytes < sourceBytes;
  }

  #range(operation: IoOperation & { do: 'read' | 'write' | 'discard' | 'zero' }): {
    offset: number;
    length: number;
  } {
    const { sizeBytes } = this.get(operation.disk).content;
    const offset = operation.offset % sizeBytes;
    return { offset, length: Math.min(operation.length, sizeBytes - offset) };
  }
}

/** The one that `name` stands for; `name` itself if there are none. */
function oneOf(names: readonly DiskName[], name: DiskName): DiskName {
  return names[Number(name.slice(-1)) % names.length] ?? name;
}

/** Top first. */
export function chainOf(top: ModelLayer): ModelLayer[] {
  const chain: ModelLayer[] = [];
  for (let layer: ModelLayer | undefined = top; layer !== undefined; layer = layer.parent) {
    chain.push(layer);
  }
  return chain;
}
