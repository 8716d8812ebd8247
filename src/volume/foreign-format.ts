/** Recognises image formats that are not raw, so that none is taken for the bytes of a disk. */
import type { FileHandle } from 'node:fs/promises';
import { Fault } from '../fault.js';

interface Format {
  readonly name: string;
  readonly magic: Buffer;
  readonly atBytes: number;
}

const formats: readonly Format[] = [
  { name: 'qcow2', magic: Buffer.from('QFI\xfb', 'latin1'), atBytes: 0 },
  { name: 'VMDK', magic: Buffer.from('KDMV'), atBytes: 0 },
  { name: 'VMDK', magic: Buffer.from('# Disk DescriptorFile'), atBytes: 0 },
  { name: 'VHDX', magic: Buffer.from('vhdxfile'), atBytes: 0 },
  { name: 'VDI', magic: Buffer.from([0x7f, 0x10, 0xda, 0xbe]), atBytes: 64 },
  { name: 'VHD', magic: Buffer.from('conectix'), atBytes: 0 },
  { name: 'LUKS', magic: Buffer.from('LUKS\xba\xbe', 'latin1'), atBytes: 0 },
];
// A VHD of fixed size has its only mark in a footer of one sector.
const footerBytes = 512;
const headBytes = 128;

/** Throws INVALID_ARGUMENT, which names the format, when `file` is an image that is not raw. */
export async function assertRaw(file: FileHandle, path: string, fileBytes: number): Promise<void> {
  const head = await readAt(file, 0);
  const format = formats.find(({ magic, atBytes }) => hasMagic(head, magic, atBytes))?.name;
  const found = format ?? (await formatByFooter(file, fileBytes));
  if (found === undefined) return;
  throw new Fault('INVALID_ARGUMENT', `${path} is a ${found} image, not a raw one`, {
    hint: `make it raw first: qemu-img convert -O raw ${path} ${path}.raw`,
  });
}

async function formatByFooter(file: FileHandle, fileBytes: number): Promise<string | undefined> {
  if (fileBytes < footerBytes) return undefined;
  const footer = await readAt(file, fileBytes - footerBytes);
  return hasMagic(footer, Buffer.from('conectix'), 0) ? 'VHD' : undefined;
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, position);
  return buffer.subarray(0, bytesRead);
}

function hasMagic(bytes: Buffer, magic: Buffer, atBytes: number): boolean {
  return bytes.subarray(atBytes, atBytes + magic.length).equals(magic);
}
