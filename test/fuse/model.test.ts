/**
 * The model test of test/disk, reached as programs reach disks: reads, writes, discards and
 * write-zeroes of any byte range through FUSE files, while layers come and go below them.
 */
import { type FileHandle, open } from 'node:fs/promises';
import t from 'tap';
import type { Device } from '../../dist/device/index.js';
import { Fallocate } from '../support/fallocate.js';
import { exportVolume, type Mounted, mountEmpty, noFuse } from '../support/fuse.js';
import { MIB } from '../support/layers.js';
import { runModel } from '../support/model.js';
import { StackBackend } from '../support/model-stacks.js';

class FuseBackend extends StackBackend {
  readonly #fallocate = new Fallocate();
  readonly #open = new Map<string, { readonly file: FileHandle; readonly path: string }>();

  constructor(private readonly mounted: Mounted) {
    super(mounted.directory);
  }

  protected override async opened(disk: string, device: Device): Promise<void> {
    const path = exportVolume(this.mounted, disk, device);
    this.#open.set(disk, { file: await open(path, 'r+'), path });
  }

  protected override async closing(disk: string): Promise<void> {
    await this.#of(disk).file.close();
    this.#open.delete(disk);
    this.mounted.session.remove(disk);
  }

  override async read(disk: string, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const bytes = Buffer.alloc(lengthBytes, 0xa5);
    await this.#of(disk).file.read(bytes, 0, lengthBytes, offsetBytes);
    return bytes;
  }

  override async write(disk: string, offsetBytes: number, data: Buffer): Promise<void> {
    await this.#of(disk).file.write(data, 0, data.length, offsetBytes);
  }

  override flush(disk: string): Promise<void> {
    return this.#of(disk).file.sync();
  }

  override async discard(disk: string, offsetBytes: number, lengthBytes: number): Promise<void> {
    if (lengthBytes === 0) return;
    await this.#fallocate.run('punch-hole', this.#of(disk).path, offsetBytes, lengthBytes);
  }

  override async zero(disk: string, offsetBytes: number, lengthBytes: number): Promise<void> {
    if (lengthBytes === 0) return;
    await this.#fallocate.run('zero-range', this.#of(disk).path, offsetBytes, lengthBytes);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#fallocate.close();
  }

  #of(disk: string): { readonly file: FileHandle; readonly path: string } {
    const found = this.#open.get(disk);
    if (found === undefined) throw new Error(`no file of ${disk}`);
    return found;
  }
}

void t.test(
  'random operations through FUSE read as the model says',
  { skip: noFuse },
  async (t) => {
    const seed = Number(process.env['KEYVOL_MODEL_SEED'] ?? Date.now() % 2 ** 32);
    const operations = Number(process.env['KEYVOL_MODEL_OPS'] ?? 20_000);
    t.comment(`KEYVOL_MODEL_SEED=${seed} KEYVOL_MODEL_OPS=${operations}`);
    const backend = new FuseBackend(await mountEmpty(t));
    const result = await runModel(backend, {
      seed,
      operations,
      diskBytes: 3 * MIB + 20 * 1024,
      maxDisks: 4,
      maxDepth: 40,
      startDepth: 18,
    });
    await backend.close();
    t.comment(JSON.stringify(result));
    t.ok(result.deepest >= 16, 'a stack was at least 16 layers deep');
  },
);
