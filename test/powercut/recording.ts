/** Workloads, recorded: what was on the storage before, what was done to it, and what was told. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDirectory, type Teardown } from '../support/temp.js';
import type { CutRecording } from './cuts.js';
import type { Fact, Operation } from './history.js';
import { Performer } from './perform.js';
import { buildFileRecorder, readRecording, type Recorded } from './recorded.js';
import { fileRecorderEnvironment } from './recorders.js';
import { pieceBytes } from './sectors.js';
import { Storage } from './storage.js';

/** Performs a workload in a process of its own. */
export const recordChild = fileURLToPath(new URL('./record-child.js', import.meta.url));

export interface Recording extends CutRecording {
  /** What had been told before; what is told meanwhile is in the marks. */
  readonly before: readonly Fact[];
  /** Frees its space. It may not be used after that. */
  readonly forget: () => void;
}

/** A state directory, and what led to it. */
export interface Beginning {
  readonly stateDir: string;
  readonly history: readonly Fact[];
}

export class RecordingStudio {
  readonly #t: Teardown;
  readonly #library: string;

  constructor(t: Teardown) {
    this.#t = t;
    this.#library = buildFileRecorder(tempDirectory(t));
  }

  /** Does `operations`, which must end with a stop in good order, unrecorded. */
  async prepare(operations: readonly Operation[]): Promise<Beginning> {
    const stateDir = join(tempDirectory(this.#t), 'state');
    const performer = await Performer.open(stateDir, { threadless: false });
    for (const operation of operations) await performer.perform(operation);
    await performer.close();
    return { stateDir, history: performer.history };
  }

  /** On a copy of `begin`; without one from an empty directory, so that the first start is seen. */
  record(
    operations: readonly Operation[],
    begin?: Beginning,
    { resetsNonces = false } = {},
  ): Recording {
    const directory = tempDirectory(this.#t);
    const root = join(directory, 'root');
    const start = join(directory, 'start');
    mkdirSync(root, { mode: 0o700 });
    if (begin !== undefined) cpSync(begin.stateDir, join(root, 'state'), { recursive: true });
    cpSync(root, start, { recursive: true });
    execFileSync(
      process.execPath,
      [recordChild, JSON.stringify(operations), String(resetsNonces)],
      {
        env: fileRecorderEnvironment(this.#library, directory),
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    );
    return finishRecording(directory, pieceBytes, begin?.history ?? []);
  }
}

/**
 * What was recorded in `directory`, where `start` holds what the storage held before and `root` what
 * it holds now. Throws unless the recording says everything that was done.
 */
export function finishRecording(
  directory: string,
  pieceBytes: number,
  before: readonly Fact[],
): Recording {
  const records = readRecording(directory);
  const start = join(directory, 'start');
  assertComplete(Storage.of(start), records, Storage.of(join(directory, 'root')));
  return {
    storage: () => Storage.of(start),
    pieceBytes,
    records,
    before,
    forget: () => rmSync(directory, { recursive: true }),
  };
}

/** The facts among the first `marks` marks, after those of before. */
export function historyOf({ before, records }: Recording, marks: number): Fact[] {
  const texts = records.flatMap((record) => (record.kind === 'mark' ? [record.text] : []));
  // Written by record-child, which counts from 1.
  const facts = texts.slice(0, marks).map((text) => JSON.parse(text) as Fact);
  return [...before, ...facts.map((fact) => ({ ...fact, id: before.length + fact.id }))];
}

function assertComplete(storage: Storage, records: readonly Recorded[], end: Storage): void {
  for (const record of records) storage.feed(record);
  const all = storage.cut(new Map(storage.pending.map((one) => [one, 'all'] as const)));
  const there = end.cut(new Map());
  if (all.print === there.print) return;
  const lines = (print: string): string[] => print.split('\n').map((line) => line.slice(0, 200));
  const differing = lines(all.print).filter((line) => !lines(there.print).includes(line));
  throw new Error(`the recorder has missed something: ${differing.join('\n')}`);
}
