/**
 * A random test of disks against a model in memory. It does not know how a disk is reached: the
 * same operations run on a native stack, through FUSE files, or over anything else.
 */
import { type ModelRandom, modelRandom } from './model-random.js';

/** The disks under test. Names are the engine's; every call names things that exist. */
export interface ModelBackend {
  create(disk: string, sizeBytes: number): Promise<void>;
  read(disk: string, offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  write(disk: string, offsetBytes: number, data: Buffer): Promise<void>;
  flush(disk: string): Promise<void>;
  discard(disk: string, offsetBytes: number, lengthBytes: number): Promise<void>;
  zero(disk: string, offsetBytes: number, lengthBytes: number): Promise<void>;
  /** Detach and attach again. */
  reattach(disk: string): Promise<void>;
  snapshot(disk: string, snapshot: string): Promise<void>;
  /** The disk becomes what the snapshot of it was. */
  rollback(disk: string, snapshot: string): Promise<void>;
  /** A new disk with the snapshot's content. */
  clone(snapshot: string, disk: string): Promise<void>;
  deleteDisk(disk: string): Promise<void>;
  deleteSnapshot(snapshot: string): Promise<void>;
}

export interface ModelOptions {
  readonly seed: number;
  readonly operations: number;
  readonly diskBytes: number;
  readonly maxDisks: number;
  /** Layers of one disk, at most. */
  readonly maxDepth: number;
  /** The first disk gets this many layers before the random part begins. */
  readonly startDepth: number;
}

export interface ModelResult {
  readonly deepest: number;
  readonly counts: Readonly<Record<string, number>>;
}

interface Content {
  readonly bytes: Buffer;
  readonly depth: number;
}

interface SnapshotContent extends Content {
  readonly disk: string;
}

/** Runs the operations; throws an error that names the seed and the operation at a difference. */
export async function runModel(backend: ModelBackend, options: ModelOptions): Promise<ModelResult> {
  const run = new ModelRun(backend, options);
  try {
    await run.prepare();
    for (let i = 0; i < options.operations; i += 1) await run.step();
    await run.checkAll();
  } catch (error) {
    throw new Error(`KEYVOL_MODEL_SEED=${options.seed}, operation ${run.describe()}`, {
      cause: error,
    });
  }
  return run.result();
}

type Step = (disk: string, content: Content) => Promise<void>;

class ModelRun {
  readonly #disks = new Map<string, Content>();
  readonly #snapshots = new Map<string, SnapshotContent>();
  readonly #random: ModelRandom;
  readonly #counts: Record<string, number> = {};
  #operation = 0;
  #last = 'prepare';
  #deepest = 1;
  #names = 0;

  // The weights make an operation on layers come about once in thirty.
  readonly #steps: readonly (readonly [name: string, weight: number, step: Step])[] = [
    ['read', 300, (disk, content) => this.#read(disk, content)],
    ['write', 300, (disk, content) => this.#write(disk, content)],
    ['discard', 60, (disk, content) => this.#clear(disk, content, 'discard')],
    ['zero', 60, (disk, content) => this.#clear(disk, content, 'zero')],
    ['flush', 8, (disk) => this.backend.flush(disk)],
    ['reattach', 5, (disk, content) => this.#reattach(disk, content)],
    ['snapshot', 6, (disk, content) => this.#snapshot(disk, content)],
    ['rollback', 4, (disk) => this.#rollback(disk)],
    ['clone', 4, () => this.#clone()],
    ['delete-snapshot', 4, () => this.#deleteSnapshot()],
    ['delete-disk', 2, (disk) => this.#deleteDisk(disk)],
  ];

  constructor(
    private readonly backend: ModelBackend,
    private readonly options: ModelOptions,
  ) {
    this.#random = modelRandom(options.seed);
  }

  /** One disk with `startDepth` layers, each of which holds something. */
  async prepare(): Promise<void> {
    const disk = await this.#create();
    for (let depth = 1; depth < this.options.startDepth; depth += 1) {
      await this.#write(disk, this.#content(disk));
      await this.#snapshot(disk, this.#content(disk));
    }
  }

  async step(): Promise<void> {
    this.#operation += 1;
    if (this.#disks.size === 0) await this.#create();
    const disk = this.#random.pick([...this.#disks.keys()]);
    const [name, , step] = this.#random.weighted(this.#steps);
    this.#last = `${name} of ${disk}`;
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
    await step(disk, this.#content(disk));
  }

  /** Every disk, and every snapshot through a clone of it. */
  async checkAll(): Promise<void> {
    for (const [disk, content] of this.#disks) await this.#checkWhole(disk, content);
    for (const [snapshot, content] of this.#snapshots) {
      this.#last = `final check of ${snapshot}`;
      const disk = this.#name('disk');
      await this.backend.clone(snapshot, disk);
      await this.#checkWhole(disk, content);
      await this.backend.deleteDisk(disk);
    }
  }

  describe(): string {
    return `${this.#operation} (${this.#last})`;
  }

  result(): ModelResult {
    return { deepest: this.#deepest, counts: this.#counts };
  }

  #name(kind: string): string {
    this.#names += 1;
    return `${kind}-${this.#names}`;
  }

  #content(disk: string): Content {
    const content = this.#disks.get(disk);
    if (content === undefined) throw new Error(`the model has no ${disk}`);
    return content;
  }

  #setDisk(disk: string, content: Content): void {
    this.#disks.set(disk, content);
    this.#deepest = Math.max(this.#deepest, content.depth);
  }

  async #create(): Promise<string> {
    const disk = this.#name('disk');
    await this.backend.create(disk, this.options.diskBytes);
    this.#setDisk(disk, { bytes: Buffer.alloc(this.options.diskBytes), depth: 1 });
    return disk;
  }

  async #read(disk: string, { bytes }: Content): Promise<void> {
    const { offset, length } = this.#random.range(bytes.length);
    this.#last += ` at ${offset}, ${length} bytes`;
    const seen = await this.backend.read(disk, offset, length);
    mustEqual(seen, bytes.subarray(offset, offset + length), offset);
  }

  async #write(disk: string, { bytes }: Content): Promise<void> {
    const { offset, length } = this.#random.range(bytes.length);
    this.#last += ` at ${offset}, ${length} bytes`;
    const data = this.#random.data(length);
    await this.backend.write(disk, offset, data);
    data.copy(bytes, offset);
  }

  async #clear(disk: string, { bytes }: Content, how: 'discard' | 'zero'): Promise<void> {
    const { offset, length } = this.#random.range(bytes.length);
    this.#last += ` at ${offset}, ${length} bytes`;
    await this.backend[how](disk, offset, length);
    bytes.fill(0, offset, offset + length);
  }

  async #reattach(disk: string, content: Content): Promise<void> {
    await this.backend.reattach(disk);
    await this.#checkWhole(disk, content);
  }

  async #snapshot(disk: string, content: Content): Promise<void> {
    if (content.depth >= this.options.maxDepth) return;
    const snapshot = this.#name('snapshot');
    await this.backend.snapshot(disk, snapshot);
    this.#snapshots.set(snapshot, { ...content, bytes: Buffer.from(content.bytes), disk });
    this.#setDisk(disk, { bytes: content.bytes, depth: content.depth + 1 });
  }

  async #rollback(disk: string): Promise<void> {
    const own = [...this.#snapshots].filter(([, snapshot]) => snapshot.disk === disk);
    if (own.length === 0) return;
    const [name, snapshot] = this.#random.pick(own);
    await this.backend.rollback(disk, name);
    const content = { bytes: Buffer.from(snapshot.bytes), depth: snapshot.depth + 1 };
    this.#setDisk(disk, content);
    await this.#checkWhole(disk, content);
  }

  async #clone(): Promise<void> {
    if (this.#snapshots.size === 0 || this.#disks.size >= this.options.maxDisks) return;
    const [name, snapshot] = this.#random.pick([...this.#snapshots]);
    const disk = this.#name('disk');
    await this.backend.clone(name, disk);
    this.#setDisk(disk, { bytes: Buffer.from(snapshot.bytes), depth: snapshot.depth + 1 });
  }

  async #deleteSnapshot(): Promise<void> {
    if (this.#snapshots.size === 0) return;
    const snapshot = this.#random.pick([...this.#snapshots.keys()]);
    await this.backend.deleteSnapshot(snapshot);
    this.#snapshots.delete(snapshot);
  }

  /** Never the last disk, so that the deep one is worked on for long. Its snapshots go first. */
  async #deleteDisk(disk: string): Promise<void> {
    if (this.#disks.size < 2) return;
    for (const [name, snapshot] of this.#snapshots) {
      if (snapshot.disk !== disk) continue;
      await this.backend.deleteSnapshot(name);
      this.#snapshots.delete(name);
    }
    await this.backend.deleteDisk(disk);
    this.#disks.delete(disk);
  }

  async #checkWhole(disk: string, { bytes }: Content): Promise<void> {
    mustEqual(await this.backend.read(disk, 0, bytes.length), bytes, 0);
  }
}

function mustEqual(seen: Buffer, expected: Buffer, offsetBytes: number): void {
  if (seen.equals(expected)) return;
  const at = seen.findIndex((byte, index) => byte !== expected[index]);
  throw new Error(
    `byte ${offsetBytes + at} is ${seen[at]}, expected ${expected[at]} (of ${expected.length} bytes from ${offsetBytes})`,
  );
}
