/** Which formats there are, and how each is recognised. */
import type { FileHandle } from 'node:fs/promises';
import { Fault } from '../fault.js';

export const foreignFormats = ['qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi'] as const;
export type ForeignFormat = (typeof foreignFormats)[number];
export type ImageFormat = 'raw' | ForeignFormat;

interface Mark {
  readonly name: string;
  /** Absent for what cannot be imported. */
  readonly format?: ForeignFormat;
  readonly magic: Buffer;
  readonly atBytes: number;
}

const marks: readonly Mark[] = [
  { name: 'qcow2', format: 'qcow2', magic: Buffer.from('QFI\xfb', 'latin1'), atBytes: 0 },
  { name: 'VMDK', format: 'vmdk', magic: Buffer.from('KDMV'), atBytes: 0 },
  { name: 'VMDK', format: 'vmdk', magic: Buffer.from('# Disk DescriptorFile'), atBytes: 0 },
  { name: 'VHDX', format: 'vhdx', magic: Buffer.from('vhdxfile'), atBytes: 0 },
  { name: 'VDI', format: 'vdi', magic: Buffer.from([0x7f, 0x10, 0xda, 0xbe]), atBytes: 64 },
  { name: 'VHD', format: 'vhd', magic: Buffer.from('conectix'), atBytes: 0 },
  { name: 'LUKS', magic: Buffer.from('LUKS\xba\xbe', 'latin1'), atBytes: 0 },
];
// A VHD of fixed size has its only mark in a footer of one sector.
const footerBytes = 512;
const headBytes = 128;

/**
 * The format that a file's name ends in, and raw where it ends in none. Never found out by what is
 * in the file: who can write the disk would choose it.
 */
export function formatOfName(path: string): ImageFormat {
  const ending = path.slice(path.lastIndexOf('.') + 1).toLowerCase();
  return foreignFormats.find((format) => format === ending) ?? 'raw';
}

export const compressions = { gz: 'gzip', xz: 'xz', zst: 'zstd' } as const;
export type Compression = (typeof compressions)[keyof typeof compressions];

/** By which a file is compressed, as its name says, and its name without that. */
export function compressionOfName(path: string): readonly [Compression | undefined, string] {
  const dot = path.lastIndexOf('.');
  const ending = path.slice(dot + 1).toLowerCase();
  if (!Object.hasOwn(compressions, ending)) return [undefined, path];
  // hasOwn says that it is one of the names.
  return [compressions[ending as keyof typeof compressions], path.slice(0, dot)];
}

/** As assertRaw, of the first bytes. */
export function assertRawHead(head: Buffer, path: string): void {
  const found = marks.find(({ magic, atBytes }) => hasMagic(head, magic, atBytes));
  if (found !== undefined) throw notRaw(path, found);
}

/**
 * Throws INVALID_ARGUMENT, which names the format, when `file` looks like an image that is not raw:
 * nobody has said that it is raw, so that it may be a mistake.
 */
export async function assertRaw(file: FileHandle, path: string, fileBytes: number): Promise<void> {
  const found = await markOf(file, fileBytes);
  if (found !== undefined) throw notRaw(path, found);
}

function notRaw(path: string, found: Mark): Fault {
  const cure =
    found.format === undefined ? '' : `give --format ${found.format} if that is what it is, or `;
  return new Fault('INVALID_ARGUMENT', `${path} is a ${found.name} image, not a raw one`, {
    hint: `${cure}give --format raw to take its bytes as they are`,
  });
}

async function markOf(file: FileHandle, fileBytes: number): Promise<Mark | undefined> {
  const head = await readAt(file, 0);
  const mark = marks.find(({ magic, atBytes }) => hasMagic(head, magic, atBytes));
  if (mark !== undefined || fileBytes < footerBytes) return mark;
  const footer = await readAt(file, fileBytes - footerBytes);
  return marks.find(({ name, magic }) => name === 'VHD' && hasMagic(footer, magic, 0));
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, position);
  return buffer.subarray(0, bytesRead);
}

function hasMagic(bytes: Buffer, magic: Buffer, atBytes: number): boolean {
  return bytes.subarray(atBytes, atBytes + magic.length).equals(magic);
}
