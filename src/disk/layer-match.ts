/** What a layer's record, its token and its header must agree on. */
import type { ContainerHeader, WrapContext } from '../device/index.js';
import { Fault } from '../fault.js';
import type { LayerRecord } from './records.js';

export const dataOffsetBytes = 1048576;
const cipher = 'aes-xts-plain64';
const headerSectorBytes = 4096;

/** What a data key is bound to, all as text (DESIGN §3). */
export function contextOf(record: LayerRecord): WrapContext {
  return {
    layer: record.id,
    parent: record.parentId ?? '',
    key_id: record.keyId,
    cipher,
    sector_bytes: String(headerSectorBytes),
    data_offset_bytes: String(dataOffsetBytes),
    size_bytes: String(record.sizeBytes),
    generation: String(record.generation),
  };
}

/** "generation 1, its record says 2", of each field that they do not agree on. */
export function differences(
  record: LayerRecord,
  header: ContainerHeader,
  context: WrapContext,
): string[] {
  const expected = contextOf(record);
  const names = new Set([...Object.keys(expected), ...Object.keys(context)]);
  const { layer, cipher, sector_bytes, data_offset_bytes } = expected;
  const compared: [string, string | undefined, string | undefined][] = [
    ...[...names].map((name): [string, string | undefined, string | undefined] => [
      name,
      context[name],
      expected[name],
    ]),
    ['layer', header.layerId, layer],
    ['cipher', header.cipher, cipher],
    ['sector_bytes', String(header.sectorBytes), sector_bytes],
    ['data_offset_bytes', String(header.dataOffsetBytes), data_offset_bytes],
  ];
  const wantedBytes = dataOffsetBytes + record.sizeBytes;
  if (header.fileBytes < wantedBytes) {
    compared.push(['file size', String(header.fileBytes), String(wantedBytes)]);
  }
  return compared
    .filter(([, found, wanted]) => found !== wanted)
    .map(
      ([name, found = 'nothing', wanted = 'nothing']) =>
        `${name} ${found}, its record says ${wanted}`,
    );
}

export const changedHint = 'the file was changed or swapped; restore it from a backup';

/** Throws HEADER_INVALID unless they say the same: else the file was changed. */
export function assertMatches(
  record: LayerRecord,
  header: ContainerHeader,
  context: WrapContext,
): void {
  const [first] = differences(record, header, context);
  if (first === undefined) return;
  throw new Fault('HEADER_INVALID', `layer ${record.id}: its container says ${first}`, {
    hint: changedHint,
  });
}
