/** Edits the metadata of a LUKS2 file as an attacker would: both copies, with right checksums. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

export const headerCopyBytes = 16384;
const binaryHeaderBytes = 4096;
const checksumOffset = 448;
const checksumFieldBytes = 64;

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

export interface Metadata extends JsonObject {
  keyslots: JsonObject;
  tokens: Record<string, JsonObject>;
  segments: Record<string, JsonObject>;
  digests: Record<string, JsonObject>;
  config: JsonObject;
}

/** Replaces the metadata by what `edit` makes of it, in both copies. */
export function editMetadata(path: string, edit: (metadata: Metadata) => void): void {
  editCopies(path, (copy) => {
    const text = copy.toString('utf8', binaryHeaderBytes).replace(/\0+$/, '');
    // Written by libcryptsetup, whose metadata always has these five members.
    const metadata = JSON.parse(text) as Metadata;
    edit(metadata);
    copy.fill(0, binaryHeaderBytes);
    copy.write(JSON.stringify(metadata), binaryHeaderBytes, 'utf8');
  });
}

/** Changes bytes of the copies ('first', 'second' or both) and mends their checksums. */
export function editCopies(
  path: string,
  edit: (copy: Buffer) => void,
  which: 'first' | 'second' | 'both' = 'both',
): void {
  const file = openSync(path, 'r+');
  try {
    for (const [index, name] of (['first', 'second'] as const).entries()) {
      if (which !== 'both' && which !== name) continue;
      const copy = Buffer.alloc(headerCopyBytes);
      readSync(file, copy, 0, headerCopyBytes, index * headerCopyBytes);
      edit(copy);
      mendChecksum(copy);
      writeSync(file, copy, 0, headerCopyBytes, index * headerCopyBytes);
    }
  } finally {
    closeSync(file);
  }
}

/** Overwrites bytes and mends nothing. */
export function damage(path: string, offsetBytes: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  try {
    writeSync(file, bytes, 0, bytes.length, offsetBytes);
  } finally {
    closeSync(file);
  }
}

function mendChecksum(copy: Buffer): void {
  copy.fill(0, checksumOffset, checksumOffset + checksumFieldBytes);
  createHash('sha256').update(copy).digest().copy(copy, checksumOffset);
}
