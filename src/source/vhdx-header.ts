/** VHDX ([MS-VHDX]): no parent. QEMU refuses one whose log must be replayed. */
import type { ImageHeader, Inspected } from './image-header.js';

const regionTables = [196608, 262144];
const tableBytes = 65536;
const metadataRegion = '06a27c8b90479a4bb8fe575f050f886e';
const fileParameters = '3767a1ca36fa434db3b633f0aa44e76b';
const diskSize = '2442a52f1bcd7648b2115dbed83bf4b8';
const hasParent = 2;

export async function inspectVhdx(image: ImageHeader): Promise<Inspected> {
  const start = await image.read(0, 8);
  if (start.toString('latin1') !== 'vhdxfile') throw image.unsound('it has another magic number');
  const metadata = await metadataOffset(image);
  const table = await image.read(metadata, tableBytes);
  if (table.toString('latin1', 0, 8) !== 'metadata') throw image.unsound('it has no metadata');
  const parameters = await item(image, metadata, table, fileParameters);
  if ((parameters.readUInt32LE(4) & hasParent) !== 0) throw image.notAlone('has a parent disk');
  const size = (await item(image, metadata, table, diskSize)).readBigUInt64LE(0);
  return { driver: 'vhdx', virtualBytes: image.virtualSize(size), remarks: [] };
}

async function metadataOffset(image: ImageHeader): Promise<number> {
  for (const at of regionTables) {
    const table = await image.read(at, tableBytes);
    if (table.toString('latin1', 0, 4) !== 'regi') continue;
    const entry = find(table, 16, table.readUInt32LE(8), metadataRegion);
    if (entry !== undefined) return safe(image, entry.readBigUInt64LE(16));
  }
  throw image.unsound('it has no metadata');
}

/** Eight bytes of what the metadata table says about `id`. */
async function item(
  image: ImageHeader,
  metadata: number,
  table: Buffer,
  id: string,
): Promise<Buffer> {
  const entry = find(table, 32, table.readUInt16LE(10), id);
  if (entry === undefined) throw image.unsound('its metadata is not complete');
  return image.read(metadata + entry.readUInt32LE(16), 8);
}

/** Entries are 32 bytes, and begin with their id. */
function find(table: Buffer, at: number, count: number, id: string): Buffer | undefined {
  for (let entry = 0; entry < count; entry += 1) {
    const bytes = table.subarray(at + 32 * entry, at + 32 * (entry + 1));
    if (bytes.length < 32) return undefined;
    if (bytes.toString('hex', 0, 16) === id) return bytes;
  }
  return undefined;
}

function safe(image: ImageHeader, offset: bigint): number {
  if (offset > BigInt(image.fileBytes)) throw image.unsound('it is cut short');
  return Number(offset);
}
