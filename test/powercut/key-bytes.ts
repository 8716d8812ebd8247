/** Every wrapped key, data key and ciphertext ever met, to see that nothing is used twice. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Secret } from '../../dist/device/index.js';
import type { Store } from '../../dist/store/store.js';
import { encrypted } from '../support/encrypted.js';
import { sectorBytes } from './sectors.js';

const prefixBytes = 24;
const nonceBytes = 12;
const headerBytes = 32768;
const dataOffsetBytes = 1048576;
const zeroSector = Buffer.alloc(sectorBytes);

/**
 * Fed with one crash state after the other of any number of workloads. A wrapping key and a nonce
 * seal one key in one context, in all of them; a data key belongs to one layer; a ciphertext block
 * stands at one place.
 */
export class KeyBytes {
  /** Wrapping key, its version and nonce → what they sealed. */
  readonly #sealed = new Map<string, string>();
  readonly #layerOfDataKey = new Map<string, string>();
  readonly #placeOfBlock = new Map<string, string>();

  /** How many different (key, nonce) pairs were met. */
  get pairs(): number {
    return this.#sealed.size;
  }

  /** Headers and sectors as they lie on the disk, whether a record names them or not. */
  readContainers(layersDirectory: string): string[] {
    return containersIn(layersDirectory).flatMap((name) => {
      const { header, data } = readContainer(join(layersDirectory, name));
      return [...this.#header(name, header), ...this.#ciphertext(name, data)];
    });
  }

  readKeyRecords(store: Store): string[] {
    const versions = store.all<{ id: string; wrapped: Buffer }>(
      `SELECT key_id || ' version ' || version AS id, wrapped FROM key_versions
       UNION ALL SELECT 'root key probe', probe FROM root_key`,
    );
    return versions.flatMap(({ id, wrapped }) => this.#wrapped(wrapped, id));
  }

  readDataKey(layerId: string, dataKey: Secret): string[] {
    const print = digest(encrypted(dataKey, zeroSector));
    return once(this.#layerOfDataKey, print, layerId, 'layers share a data key');
  }

  #header(name: string, header: Buffer): string[] {
    return tokensIn(header).flatMap(({ wrapped, context }) =>
      this.#wrapped(Buffer.from(wrapped, 'base64'), `${name} ${JSON.stringify(context)}`),
    );
  }

  #wrapped(wrapped: Buffer, what: string): string[] {
    // The purpose too: the root key has the version of its label in common with no other key.
    const pair = wrapped.subarray(4, prefixBytes + nonceBytes).toString('hex');
    const sealed = `${what} ${digest(wrapped)}`;
    return once(this.#sealed, pair, sealed, 'a nonce was used twice under one key');
  }

  #ciphertext(name: string, data: Buffer): string[] {
    const problems: string[] = [];
    for (let at = 0; at + sectorBytes <= data.length; at += sectorBytes) {
      const block = data.subarray(at, at + 16);
      if (block.equals(zeroSector.subarray(0, 16))) continue;
      const place = `${name} sector ${String(at / sectorBytes)}`;
      const text = block.toString('latin1');
      problems.push(...once(this.#placeOfBlock, text, place, 'a ciphertext stands at two places'));
    }
    return problems;
  }
}

function once(seen: Map<string, string>, key: string, value: string, problem: string): string[] {
  const before = seen.get(key);
  if (before === undefined) seen.set(key, value);
  return before === undefined || before === value ? [] : [`${problem}: ${before} and ${value}`];
}

function containersIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.luks'));
  } catch {
    return [];
  }
}

/** The header's copies and the data; between them lies a hole of half a MiB. */
function readContainer(path: string): { header: Buffer; data: Buffer } {
  const file = openSync(path, 'r');
  try {
    const dataBytes = Math.max(0, fstatSync(file).size - dataOffsetBytes);
    const header = Buffer.alloc(headerBytes);
    const data = Buffer.alloc(dataBytes);
    readSync(file, header, 0, headerBytes, 0);
    readSync(file, data, 0, dataBytes, dataOffsetBytes);
    return { header, data };
  } finally {
    closeSync(file);
  }
}

interface Token {
  readonly wrapped: string;
  readonly context: unknown;
}

/** The keyvol tokens of both header copies, as far as they can be read. */
function tokensIn(header: Buffer): Token[] {
  const copies = [header.subarray(4096, 16384), header.subarray(20480, 32768)];
  return copies.flatMap((copy) => {
    const end = copy.indexOf(0);
    try {
      // Written by libcryptsetup; whatever else it is, is not looked at.
      const metadata = JSON.parse(copy.subarray(0, end).toString()) as {
        tokens?: Record<string, Token>;
      };
      return Object.values(metadata.tokens ?? {});
    } catch {
      return [];
    }
  });
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}
