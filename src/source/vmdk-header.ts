/** VMDK with one sparse extent in the same file, described in it (VMware's Virtual Disk Format 5.0). */
import type { ImageHeader, Inspected } from './image-header.js';

const sectorBytes = 512;
const headerBytes = 77;
const maxDescriptorBytes = 1048576;
const extentLine = /^\s*(?:RW|RDONLY|NOACCESS)\s+\S+\s+(\S+)/;

export async function inspectVmdk(image: ImageHeader): Promise<Inspected> {
  const start = await image.read(0, 21);
  if (start.toString('latin1').startsWith('# Disk DescriptorFile')) {
    throw image.notAlone('only names the files that hold its content');
  }
  if (start.toString('latin1', 0, 4) !== 'KDMV') throw image.unsound('it has another magic number');
  const header = await image.read(0, headerBytes);
  const capacity = header.readBigUInt64LE(12);
  // QEMU takes a capacity of zero for a file that only names others.
  if (capacity === 0n) throw image.notAlone('only names the files that hold its content');
  if (image.fileBytes % sectorBytes !== 0) throw image.unsound('it is cut short');
  const virtualBytes = image.virtualSize(capacity * BigInt(sectorBytes));
  assertAlone(image, await descriptorOf(image, header));
  return { driver: 'vmdk', virtualBytes, remarks: [] };
}

async function descriptorOf(image: ImageHeader, header: Buffer): Promise<string> {
  const offset = header.readBigUInt64LE(28) * BigInt(sectorBytes);
  const length = header.readBigUInt64LE(36) * BigInt(sectorBytes);
  if (offset === 0n || length === 0n) throw image.notAlone('is one part of a larger disk');
  if (length > maxDescriptorBytes) throw image.unsound('its descriptor is too long');
  if (offset > BigInt(image.fileBytes)) throw image.unsound('it is cut short');
  const text = (await image.read(Number(offset), Number(length))).toString('latin1');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function assertAlone(image: ImageHeader, descriptor: string): void {
  const lines = descriptor.split(/[\r\n]+/);
  const parent = lines.map((line) => /^\s*parentCID\s*=\s*(\S+)/i.exec(line)?.[1]);
  const isChild = parent.some((id) => id !== undefined && id.toLowerCase() !== 'ffffffff');
  if (isChild || /parentFileNameHint/i.test(descriptor)) throw image.notAlone('has a parent disk');
  const extents = lines.flatMap((line) => extentLine.exec(line)?.[1] ?? []);
  if (extents.length !== 1 || extents[0] !== 'SPARSE') {
    throw image.notAlone('names other files that hold its content');
  }
}
