/**
 * Bugs that lose data in a power cut, planted in a recording: what a daemon with such a bug would
 * have done and told. The rig must see each of them.
 */
import type { Operation } from './history.js';
import type { Recorded } from './recorded.js';

export interface PlantedBug {
  readonly name: string;
  readonly plant: (records: readonly Recorded[]) => readonly Recorded[];
}

/** Each record with the path that its file had when it was opened last; "" for none. */
function located(records: readonly Recorded[]): readonly (readonly [Recorded, string])[] {
  const paths = new Map<number, string>();
  return records.map((record) => {
    if (record.kind === 'open' || record.kind === 'create') paths.set(record.file, record.path);
    return [record, 'file' in record ? (paths.get(record.file) ?? '') : ''] as const;
  });
}

const isContainer = (path: string): boolean => path.endsWith('.luks');
const isDirectory = (path: string): boolean => /^(state)?(\/layers)?\/?$/.test(path);
const isRecords = (path: string): boolean => path.endsWith('-wal');

function withoutSyncs(of: (path: string) => boolean): PlantedBug['plant'] {
  return (records) =>
    located(records).flatMap(([record, path]) =>
      record.kind === 'sync' && of(path) ? [] : [record],
    );
}

/** What is told of a flush, as soon as it is asked for. */
export function flushesToldAtOnce(records: readonly Recorded[]): readonly Recorded[] {
  let early: number | undefined;
  return records.flatMap((record): readonly Recorded[] => {
    if (record.kind !== 'mark') return [record];
    // Written by record-child.
    const fact = JSON.parse(record.text) as { fact: string; id: number; operation?: Operation };
    if (fact.fact === 'asked' && fact.operation?.do === 'flush') {
      early = fact.id;
      return [record, { kind: 'mark', text: JSON.stringify({ fact: 'done', id: fact.id }) }];
    }
    return fact.fact === 'done' && fact.id === early ? [] : [record];
  });
}

/** A container comes after the records that name it. */
function recordsFirst(records: readonly Recorded[]): readonly Recorded[] {
  const held: Recorded[] = [];
  return located(records).flatMap(([record, path]): readonly Recorded[] => {
    const isLayers = isContainer(path) || /layers\/?$/.test(path);
    if (record.kind === 'sync' && isLayers) {
      held.push(record);
      return [];
    }
    if (record.kind === 'mark') return [...held.splice(0), record];
    return [record];
  });
}

/** What is written between two flushes of a container is written as one, headers and all. */
function inOneWrite(records: readonly Recorded[]): readonly Recorded[] {
  const files = new Set(
    located(records).flatMap(([record, path]) =>
      'file' in record && isContainer(path) ? record.file : [],
    ),
  );
  const seen = new Set<number>();
  return records.flatMap((record): readonly Recorded[] => {
    if (record.kind !== 'sync' || !files.has(record.file) || seen.has(record.file)) return [record];
    // The first flush of a container is that of its headers.
    seen.add(record.file);
    return [];
  });
}

/** The first try fails, and leaves pages clean that never reached the storage; the second succeeds. */
function failedSyncsTriedAgain(records: readonly Recorded[]): readonly Recorded[] {
  return located(records).flatMap(([record, path]): readonly Recorded[] =>
    record.kind === 'sync' && isContainer(path)
      ? [{ kind: 'failed-sync', file: record.file }, record]
      : [record],
  );
}

/** A disk that forgets every fourth time what it was to keep. */
export function forgetfulDisk(records: readonly Recorded[]): readonly Recorded[] {
  let flushes = 0;
  return records.map((record) => {
    if (record.kind !== 'sync') return record;
    flushes += 1;
    return flushes % 4 === 0 ? { kind: 'failed-sync', file: record.file } : record;
  });
}

export const plantedBugs: readonly PlantedBug[] = [
  { name: 'data is not flushed', plant: withoutSyncs(isContainer) },
  { name: 'directories are not flushed', plant: withoutSyncs(isDirectory) },
  { name: 'records are not flushed', plant: withoutSyncs(isRecords) },
  { name: 'records come before what they name', plant: recordsFirst },
  { name: 'flushes are acknowledged at once', plant: flushesToldAtOnce },
  { name: 'headers are flushed only with the data', plant: inOneWrite },
  { name: 'a failed flush is tried again', plant: failedSyncsTriedAgain },
];
