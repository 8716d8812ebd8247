/** Copies and small requests over NBD, of every server of an encrypted disk. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { randomBytes } from 'node:crypto';
import { takeTurns, type Bench, type Contender, type TurnValue } from './bench.js';
import { measure, type Job } from './fio.js';
import type { Unit } from './results.js';
import type { Backing } from './stage.js';
import type { Exporter, RunningExport } from './system.js';
import { keyvolNbd } from './systems/keyvol.js';
import { nbdkit } from './systems/nbdkit.js';
import { qemuNbd } from './systems/qemu-nbd.js';

const mib = 2 ** 20;

export const exporters: readonly Exporter[] = [keyvolNbd, nbdkit, qemuNbd];

interface NbdJob {
  readonly name: string;
  readonly unit: Unit;
  /** nbdcopy of the whole disk, instead of fio. */
  readonly isCopy: boolean;
  readonly turn: (on: Exported) => Promise<TurnValue>;
}

interface Exported {
  readonly bench: Bench;
  readonly system: Exporter;
  readonly running: RunningExport;
  /** A file of random data, as long as the disk. */
  readonly source: string;
}

export const nbdJobs: readonly NbdJob[] = [
  ...(['read', 'write'] as const).map(copyJob),
  ...(['read', 'write'] as const).map(smallJob),
];

/** All servers on one backing, side by side; the jobs take turns. */
export async function runNbd(bench: Bench, backing: Backing): Promise<void> {
  const wanted = nbdJobs.filter(({ name }) => bench.wantsJob('nbd', name));
  if (wanted.length === 0) return;
  const { results, stage } = bench;
  const source = join(stage.directory('source', backing.directory), 'random');
  await writeRandom(source, bench.options.sizeBytes);
  const exported: Exported[] = [];
  try {
    for (const system of exporters.filter(({ name }) => bench.wantsSystem(name))) {
      const what = `start of ${system.name} on ${backing.name}`;
      const running = await results.attempt(what, () =>
        startFilled(bench, backing, system, source),
      );
      if (running !== undefined) exported.push({ bench, system, running, source });
    }
    await stage.shell.run('sync', '--file-system', backing.directory);
    for (const { name: job, unit, turn } of wanted) {
      const contest = { suite: 'nbd', backing: backing.name, job, unit } as const;
      const contenders = exported.map((one): Contender => contenderOf(one, turn));
      await takeTurns(bench, contest, contenders);
    }
  } finally {
    for (const { system, running } of exported) {
      await results.attempt(`end of ${system.name}`, () => running.end());
    }
  }
}

/** With data all over it, so that what is read later is data. */
async function startFilled(
  { options, stage }: Bench,
  backing: Backing,
  system: Exporter,
  source: string,
): Promise<RunningExport> {
  const { sizeBytes } = options;
  const directory = stage.directory(system.name.replaceAll(' ', '-'), backing.directory);
  const running = await system.start({ stage, directory, sizeBytes });
  try {
    await stage.shell.run('nbdcopy', source, running.uri);
  } catch (error) {
    await running.end();
    throw error;
  }
  return running;
}

function contenderOf(exported: Exported, turn: NbdJob['turn']): Contender {
  const { system, running } = exported;
  return { subject: system.name, pids: running.pids, turn: () => turn(exported) };
}

function copyJob(direction: 'read' | 'write'): NbdJob {
  const turn = async ({ bench, running, source }: Exported): Promise<TurnValue> => {
    const between = direction === 'read' ? [running.uri, 'null:'] : [source, running.uri];
    const { sizeBytes, seconds } = bench.options;
    const startMs = performance.now();
    let movedBytes = 0;
    let tookMs = 0;
    for (; tookMs < seconds * 1000; tookMs = performance.now() - startMs) {
      await bench.stage.shell.run('nbdcopy', `--request-size=${mib}`, ...between);
      movedBytes += sizeBytes;
    }
    return { value: movedBytes / 1000 / tookMs, movedBytes };
  };
  return { name: `copy, 1 MiB ${direction}s`, unit: 'MB/s', isCopy: true, turn };
}

function smallJob(direction: 'read' | 'write'): NbdJob {
  const name = `4 KiB random ${direction}, depth 16`;
  const job: Job = { name, unit: 'IOPS', rw: `rand${direction}`, block: '4k', depth: 16 };
  const turn = async ({ bench, running }: Exported): Promise<TurnValue> => {
    const { sizeBytes, seconds } = bench.options;
    return await measure(bench.stage.shell, { uri: running.uri, sizeBytes }, job, seconds);
  };
  return { name, unit: 'IOPS', isCopy: false, turn };
}

async function writeRandom(path: string, sizeBytes: number): Promise<void> {
  const parts = function* (): Generator<Buffer> {
    for (let done = 0; done < sizeBytes; done += mib) yield randomBytes(mib);
  };
  await pipeline(Readable.from(parts()), createWriteStream(path));
}
