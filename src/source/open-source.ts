/** Opens what a disk is to be made from. */
import { Fault } from '../fault.js';
import { CompressedSource } from './compressed.js';
import { ForeignSource, type ForeignHost } from './foreign.js';
import { assertRaw, compressionOfName, formatOfName, type ImageFormat } from './format.js';
import type { Addon } from '../device/index.js';
import { assertNotOurs, openFile, sizeOf } from './open-file.js';
import { RawSource } from './raw.js';
import type { DiskSource } from './source.js';

export interface SourceHost extends ForeignHost {
  readonly addon: Pick<Addon, 'connectedListener' | 'receive' | 'nextData'>;
  readonly fuse: { readonly mountPoint: string } | undefined;
}

/**
 * The caller closes it. The format is that of the file's name where none is given. Throws
 * FILE_NOT_FOUND, INVALID_ARGUMENT, INVALID_SIZE, UNSUPPORTED.
 */
export async function openSource(
  host: SourceHost,
  path: string,
  given?: ImageFormat,
  signal?: AbortSignal,
): Promise<DiskSource> {
  const file = await openFile(path);
  try {
    await assertNotOurs(host.fuse, file, path);
    const fileBytes = await sizeOf(file, path);
    if (fileBytes === 0) throw new Fault('INVALID_SIZE', `${path} is empty`);
    const [compression, inner] = compressionOfName(path);
    const format = given ?? formatOfName(inner);
    if (compression !== undefined) {
      const content = { compression, inner, format, isGiven: given !== undefined };
      return await CompressedSource.open(file, path, fileBytes, content, signal);
    }
    if (format !== 'raw') return await ForeignSource.open(host, file, path, format, signal);
    if (given === undefined) await assertRaw(file, path, fileBytes);
    return new RawSource(host.addon, file, path, fileBytes);
  } catch (error) {
    await file.close();
    throw error;
  }
}
