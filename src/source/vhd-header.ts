/** VHD (Microsoft's Virtual Hard Disk Image Format Specification): fixed or dynamic. */
import type { ImageHeader, Inspected } from './image-header.js';

const footerBytes = 512;
const diskType = { fixed: 2, dynamic: 3, differencing: 4 };

export async function inspectVhd(image: ImageHeader): Promise<Inspected> {
  const atStart = await image.read(0, footerBytes);
  const footer = isFooter(atStart)
    ? atStart
    : await image.read(image.fileBytes - footerBytes, footerBytes);
  if (!isFooter(footer)) throw image.unsound('it has no footer');
  const type = footer.readUInt32BE(60);
  if (type === diskType.differencing) throw image.notAlone('has a parent disk');
  if (type !== diskType.fixed && type !== diskType.dynamic) {
    throw image.unsound(`its type is ${type}`);
  }
  return { driver: 'vpc', virtualBytes: sizeOf(image, footer), remarks: [] };
}

function isFooter(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 8) === 'conectix';
}

/** Some programs mean the size, others the geometry: the larger one bounds both. */
function sizeOf(image: ImageHeader, footer: Buffer): number {
  const geometry = BigInt(footer.readUInt16BE(56) * footer.readUInt8(58) * footer.readUInt8(59));
  const size = footer.readBigUInt64BE(48);
  return image.virtualSize(size > geometry * 512n ? size : geometry * 512n);
}
