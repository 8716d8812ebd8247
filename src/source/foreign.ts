/** A disk in a foreign image format, read by a confined program. */
import type { FileHandle } from 'node:fs/promises';
import type { Addon } from '../device/index.js';
import { roundUpToSector } from '../disk/sizes.js';
import { Fault } from '../fault.js';
import { checkImage, startReader, type ConfinedReader, type ForeignFile } from './confined.js';
import type { ForeignFormat } from './format.js';
import { inspect } from './inspect.js';
import { NbdClient } from './nbd-client.js';
import { connectionOver } from './nbd-connection.js';
import { becameShorter, sizeOf } from './open-file.js';
import { chunksOfRuns, paddingRemarks, type Chunk, type DiskSource } from './source.js';

export interface ForeignHost {
  readonly addon: Pick<Addon, 'connectedListener' | 'receive'>;
  readonly runtimeDir: string;
}

interface Opened {
  readonly file: FileHandle;
  readonly fileBytes: number;
  readonly path: string;
  readonly reader: ConfinedReader;
  readonly client: NbdClient;
  readonly remarks: readonly string[];
}

export class ForeignSource implements DiskSource {
  readonly #opened: Opened;

  private constructor(opened: Opened) {
    this.#opened = opened;
  }

  /**
   * Owns `file` when it does not throw. Throws INVALID_ARGUMENT for an image that names other
   * files or is not whole, INVALID_SIZE, UNSUPPORTED.
   */
  static async open(
    host: ForeignHost,
    file: FileHandle,
    path: string,
    format: ForeignFormat,
    signal?: AbortSignal,
  ): Promise<ForeignSource> {
    const fileBytes = await sizeOf(file, path);
    const header = await inspect(format, file, path, fileBytes);
    const { driver, virtualBytes } = header;
    const image = { file: file.fd, driver, contentBytes: virtualBytes };
    await assertSound({ ...image, fileBytes }, path, format, signal);
    const reader = await startReader(host, image);
    try {
      const client = await NbdClient.open(connectionOver(host.addon, reader.socket));
      if (client.sizeBytes > roundUpToSector(virtualBytes)) throw changed(path);
      if (client.sizeBytes === 0) throw new Fault('INVALID_SIZE', `${path} holds an empty disk`);
      return new ForeignSource({ file, fileBytes, path, reader, client, remarks: header.remarks });
    } catch (error) {
      await reader.end();
      throw notOpened(error, path, format, reader.said());
    }
  }

  get path(): string {
    return this.#opened.path;
  }

  get contentBytes(): number {
    return this.#opened.client.sizeBytes;
  }

  get diskBytes(): number {
    return roundUpToSector(this.contentBytes);
  }

  get remarks(): readonly string[] {
    return [...this.#opened.remarks, ...paddingRemarks(this.contentBytes)];
  }

  chunks(): AsyncIterable<Chunk> {
    return chunksOfRuns(this.#opened.client.runs(), this.contentBytes);
  }

  async read(buffer: Buffer, offsetBytes: number): Promise<void> {
    const { client, path, reader } = this.#opened;
    try {
      await client.read(buffer, offsetBytes);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const why = lastLineOf(reader.said()) ?? error.message;
      throw new Fault(error.code, `${path}: ${why}`, { cause: error });
    }
  }

  async assertWhole(): Promise<void> {
    const { file, fileBytes, path } = this.#opened;
    if ((await sizeOf(file, path)) < fileBytes) throw becameShorter(path);
  }

  stop(): void {
    this.#opened.reader.kill();
  }

  async close(): Promise<void> {
    const { file, reader, client } = this.#opened;
    reader.kill();
    await client.ended();
    await reader.end();
    await file.close();
  }
}

function changed(path: string): Fault {
  return new Fault('IO_ERROR', `${path} was changed while it was opened`);
}

/** Status 3 is space that nothing uses, and 63 a format that has no tables to be checked. */
const soundStatuses = [0, 3, 63];

/** Tables that point past the end would be read as zeros, or as other content. */
async function assertSound(
  image: ForeignFile & { readonly fileBytes: number },
  path: string,
  format: ForeignFormat,
  signal?: AbortSignal,
): Promise<void> {
  const { status, said } = await checkImage(image, image.fileBytes, signal);
  if (signal?.aborted === true) throw new Fault('INTERRUPTED', 'stopped on request');
  if (soundStatuses.includes(status)) return;
  const silent = status >= 128 ? 'it takes too long to check' : 'its tables contradict each other';
  throw unsound(path, format, firstLineOf(said) ?? silent);
}

/** What the program itself says is of more use than that it has ended. */
function notOpened(error: unknown, path: string, format: ForeignFormat, said: string): unknown {
  if (!(error instanceof Fault) || error.code !== 'IO_ERROR') return error;
  const why = lastLineOf(said);
  if (why === undefined)
    return new Fault('IO_ERROR', `${path}: ${error.message}`, { cause: error });
  return unsound(path, format, why);
}

function unsound(path: string, format: ForeignFormat, why: string): Fault {
  if (/^bwrap|^prlimit/.test(why)) {
    return new Fault('UNSUPPORTED', `cannot confine the reader of ${path}: ${why}`, {
      hint: 'it needs user namespaces: see sysctl kernel.unprivileged_userns_clone',
    });
  }
  return new Fault('INVALID_ARGUMENT', `${path} is not a sound ${format} image: ${why}`, {
    hint: `see qemu-img check -f ${format === 'vhd' ? 'vpc' : format} ${path}`,
  });
}

function lastLineOf(said: string): string | undefined {
  return cleaned(said.trim().split('\n').at(-1) ?? '');
}

function firstLineOf(said: string): string | undefined {
  return cleaned(said.trim().split('\n').at(0) ?? '');
}

/** Without the program's own name and our arguments, and safe to print. */
function cleaned(line: string): string | undefined {
  const reason = line
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/^.*qemu-(?:nbd|img): /, '')
    .replace(/^(?:Failed to blk_new_open|Could not open) 'json:.*?}}?': /, '')
    .slice(0, 300);
  return reason === '' ? undefined : reason;
}
