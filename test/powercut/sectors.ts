/** Contents of sectors that tell where and when they were written. */
export const sectorBytes = 4096;
/** What storage writes all or nothing. */
export const pieceBytes = 512;
export const piecesPerSector = sectorBytes / pieceBytes;

/** Of a piece that is neither zeros nor anything a workload ever wrote there. */
export const garbage = -1;

const mark = 0x6b76706c;

/** 4096 bytes, each 16 of which name the write: no two writes of a history share a block. */
export function sectorPattern(sector: number, version: number): Buffer {
  const words = new Uint32Array(sectorBytes / 4);
  for (let at = 0; at < words.length; at += 4) {
    words[at] = mark;
    words[at + 1] = version;
    words[at + 2] = sector;
    words[at + 3] = at;
  }
  return Buffer.from(words.buffer);
}

/** The versions of the pieces of one sector: 0 for zeros, else what `sectorPattern` was given. */
export function readVersions(sector: number, bytes: Buffer): number[] {
  const versions: number[] = [];
  for (let at = 0; at < sectorBytes; at += pieceBytes) {
    versions.push(pieceVersion(sector, at, bytes.subarray(at, at + pieceBytes)));
  }
  return versions;
}

const zeroPiece = Buffer.alloc(pieceBytes);

function pieceVersion(sector: number, offsetBytes: number, piece: Buffer): number {
  if (piece.equals(zeroPiece)) return 0;
  const version = piece.readUInt32LE(4);
  const expected = sectorPattern(sector, version).subarray(offsetBytes, offsetBytes + pieceBytes);
  return piece.equals(expected) ? version : garbage;
}
