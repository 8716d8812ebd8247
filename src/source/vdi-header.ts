/** VDI, VirtualBox's format: of its own content only. */
import type { ImageHeader, Inspected } from './image-header.js';

const headerBytes = 512;
const magic = 0xbeda107f;
const imageType = { dynamic: 1, fixed: 2 };
/** The ids of what it is linked to, and of its parent. */
const linksBytes = [424, 456] as const;

export async function inspectVdi(image: ImageHeader): Promise<Inspected> {
  const header = await image.read(0, headerBytes);
  if (header.readUInt32LE(64) !== magic) throw image.unsound('it has another magic number');
  const type = header.readUInt32LE(76);
  const hasLinks = header.subarray(...linksBytes).some((byte) => byte !== 0);
  if (hasLinks) throw image.notAlone('has a parent disk');
  if (type !== imageType.dynamic && type !== imageType.fixed) {
    throw image.unsound(`its type is ${type}`);
  }
  const blocksBytes = header.readUInt32LE(376) * header.readUInt32LE(388);
  // Neither QEMU nor its check would mind: what is missing would read as zeros.
  if (header.readUInt32LE(344) + blocksBytes > image.fileBytes)
    throw image.unsound('it is cut short');
  const virtualBytes = image.virtualSize(header.readBigUInt64LE(368));
  return { driver: 'vdi', virtualBytes, remarks: [] };
}
