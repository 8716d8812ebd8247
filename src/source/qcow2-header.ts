/** The header of qcow2, and of its predecessor qcow (QEMU's docs/interop/qcow2.txt). */
import type { ImageHeader, Inspected } from './image-header.js';

const magic = Buffer.from('QFI\xfb', 'latin1');
const headerBytes: Readonly<Record<number, number>> = { 1: 48, 2: 72, 3: 104 };
const feature = { corrupt: 1n << 1n, externalData: 1n << 2n };
/** Dirty, corrupt, external data, compression type, extended L2 entries. */
const knownFeatures = 0b11111n;
const maxTableBytes = 32 * 1048576;
const maxSnapshots = 65536;

export async function inspectQcow(image: ImageHeader): Promise<Inspected> {
  const start = await image.read(0, 8);
  const version = start.readUInt32BE(4);
  const length = headerBytes[version];
  if (!start.subarray(0, 4).equals(magic)) throw image.unsound('it has another magic number');
  if (length === undefined) throw image.unsound(`its version is ${version}`);
  const header = await image.read(0, length);
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0) {
    throw image.notAlone('has a backing file');
  }
  if (version === 1) return inspectFirst(image, header);
  if (version === 3) assertFeatures(image, header);
  assertTables(image, header, version);
  return {
    driver: 'qcow2',
    virtualBytes: image.virtualSize(header.readBigUInt64BE(24)),
    remarks: snapshotRemarks(header.readUInt32BE(60)),
  };
}

function inspectFirst(image: ImageHeader, header: Buffer): Inspected {
  assertPlain(image, header.readUInt32BE(36));
  return {
    driver: 'qcow',
    virtualBytes: image.virtualSize(header.readBigUInt64BE(24)),
    remarks: [],
  };
}

function assertPlain(image: ImageHeader, cryptMethod: number): void {
  if (cryptMethod === 0) return;
  throw image.refused('is encrypted', 'decrypt it first, with qemu-img convert and its secret');
}

function assertFeatures(image: ImageHeader, header: Buffer): void {
  const features = header.readBigUInt64BE(72);
  if ((features & feature.externalData) !== 0n) throw image.notAlone('has an external data file');
  if ((features & ~knownFeatures) !== 0n) throw image.unsound('it needs unknown features');
  if ((features & feature.corrupt) !== 0n) {
    throw image.refused('is marked as corrupt', `qemu-img check -r all ${image.path}`);
  }
  if (header.readUInt32BE(100) < 104) throw image.unsound('its header is too short');
}

function assertTables(image: ImageHeader, header: Buffer, version: number): void {
  const clusterBits = header.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21)
    throw image.unsound(`its cluster bits are ${clusterBits}`);
  const clusterBytes = 2 ** clusterBits;
  assertPlain(image, header.readUInt32BE(32));
  if (version === 3 && header.readUInt32BE(100) > clusterBytes) {
    throw image.unsound('its header is longer than a cluster');
  }
  if (header.readUInt32BE(36) * 8 > maxTableBytes) throw image.unsound('its L1 table is too large');
  if (header.readUInt32BE(56) * clusterBytes > maxTableBytes) {
    throw image.unsound('its table of reference counts is too large');
  }
  assertInside(image, clusterBytes, header.readBigUInt64BE(40), header.readUInt32BE(36) * 8);
  const countsBytes = header.readUInt32BE(56) * clusterBytes;
  assertInside(image, clusterBytes, header.readBigUInt64BE(48), countsBytes);
  if (header.readUInt32BE(60) > maxSnapshots) throw image.unsound('it has too many snapshots');
}

/** Whoever walks a table that is mostly behind the end would walk long. */
function assertInside(
  image: ImageHeader,
  clusterBytes: number,
  offsetBytes: bigint,
  lengthBytes: number,
): void {
  const end = offsetBytes + BigInt(lengthBytes);
  // The last cluster of a file may be cut off behind what it holds.
  if (end <= BigInt(image.fileBytes + clusterBytes)) return;
  throw image.unsound('its tables lie behind its end');
}

function snapshotRemarks(snapshots: number): string[] {
  if (snapshots === 0) return [];
  const what = snapshots === 1 ? 'a snapshot' : `${snapshots} snapshots`;
  return [`the image has ${what} inside, not imported: only what it holds now is`];
}
