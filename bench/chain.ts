/** Reads through chains of 1, 8 and 32 layers, and the time and memory to attach a deep one. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { takeTurns, type Bench, type Contender } from './bench.js';
import { jobs, measure } from './fio.js';
import { KeyvolDaemon } from './keyvol-daemon.js';
import { residentMib } from './processes.js';
import type { Backing } from './stage.js';

const chunkBytes = 64 * 1024;
const readJobs = jobs.filter(
  ({ rw, depth }) => rw === 'read' || (rw === 'randread' && depth === 1),
);
export const attachJob = 'attach 1 TiB over 8 layers';
export const attachMemoryJob = `${attachJob}, memory`;
const tib = 2 ** 40;
const deep = 'deep';

interface Chain {
  readonly volume: string;
  readonly subject: string;
  readonly layers: number;
  /** Written before the next layer is put on top: every chunk of the lowest, or its share of all. */
  readonly isSpread: boolean;
}

const chains: readonly Chain[] = [
  { volume: 'one', subject: '1 layer', layers: 1, isSpread: false },
  { volume: 'bottom8', subject: '8 layers, data in the lowest', layers: 8, isSpread: false },
  { volume: 'spread8', subject: '8 layers, data in all', layers: 8, isSpread: true },
  { volume: 'bottom32', subject: '32 layers, data in the lowest', layers: 32, isSpread: false },
  { volume: 'spread32', subject: '32 layers, data in all', layers: 32, isSpread: true },
];

/** On one backing, by daemons of its own. */
export async function runChains(bench: Bench, backing: Backing): Promise<void> {
  if (readJobs.some(({ name }) => bench.wantsJob('chain', name))) {
    await withDaemon(bench, backing, readChains);
  }
  if (bench.wantsJob('control', attachJob)) await withDaemon(bench, backing, attachDeep);
}

async function withDaemon(
  bench: Bench,
  backing: Backing,
  work: (bench: Bench, backing: Backing, daemon: KeyvolDaemon) => Promise<void>,
): Promise<void> {
  const { stage, results } = bench;
  const daemon = await KeyvolDaemon.start(stage, stage.directory('chain', backing.directory));
  try {
    await results.attempt('chains of layers', () => work(bench, backing, daemon));
  } finally {
    await results.attempt('end of the chains', () => daemon.stop());
  }
}

async function readChains(bench: Bench, backing: Backing, daemon: KeyvolDaemon): Promise<void> {
  const { chainBytes, seconds } = bench.options;
  for (const chain of chains) await buildChain(daemon, chain, chainBytes);
  const pids = daemon.pids();
  for (const job of readJobs) {
    const contenders = chains.map(({ volume, subject }): Contender => {
      const target = { path: daemon.volumePath(volume), sizeBytes: chainBytes, direct: true };
      return { subject, pids, turn: () => measure(bench.stage.shell, target, job, seconds) };
    });
    const contest = { backing: backing.name, job: job.name, unit: job.unit };
    await takeTurns(bench, { suite: 'chain', ...contest }, contenders);
  }
}

/** Leaves the volume attached. */
async function buildChain(
  daemon: KeyvolDaemon,
  { volume, layers, isSpread }: Chain,
  sizeBytes: number,
): Promise<void> {
  const { client } = daemon;
  const path = daemon.volumePath(volume);
  await client.createVolume({ name: volume, size: sizeBytes });
  await client.attachVolume(volume, {});
  for (let layer = 0; layer < layers; layer++) {
    const [step, first] = isSpread ? [layers, layer] : [1, layer === 0 ? 0 : Infinity];
    writeChunks(path, chunksOf(sizeBytes, step, first));
    if (layer < layers - 1) await client.createSnapshot(`${volume}@s${layer}`);
  }
}

/** Offsets of every `step`th chunk. */
function chunksOf(sizeBytes: number, step: number, first: number): number[] {
  const count = sizeBytes / chunkBytes;
  return Array.from({ length: count }, (_, index) => index)
    .filter((index) => first !== Infinity && index % step === first)
    .map((index) => index * chunkBytes);
}

function writeChunks(path: string, offsets: readonly number[]): void {
  const file = openSync(path, 'r+');
  try {
    for (const offset of offsets) writeSync(file, randomBytes(chunkBytes), 0, chunkBytes, offset);
  } finally {
    closeSync(file);
  }
}

/** Each time by a daemon that has no memory from before to use again. */
async function attachDeep(bench: Bench, backing: Backing, daemon: KeyvolDaemon): Promise<void> {
  await buildDeep(daemon);
  const growth: number[] = [];
  const turn = async (): Promise<{ value: number }> => {
    await daemon.startAfresh();
    const pids = daemon.pids();
    const before = residentMib(pids);
    const startMs = performance.now();
    await daemon.client.attachVolume(deep, {});
    const value = performance.now() - startMs;
    growth.push(residentMib(pids) - before);
    await daemon.client.detachVolume(deep, {});
    return { value };
  };
  const contest = { suite: 'control', backing: backing.name, job: attachJob, unit: 'ms' } as const;
  await takeTurns(bench, contest, [{ subject: 'API', pids: [], turn }]);
  const memory = { ...contest, job: attachMemoryJob, unit: 'MiB' } as const;
  for (const [round, value] of growth.entries()) {
    bench.results.turns.push({ ...memory, subject: 'API', round, value });
  }
}

/** 1 TiB, with a MiB in each of 8 layers, all over it. Leaves it detached. */
async function buildDeep(daemon: KeyvolDaemon): Promise<void> {
  const { client } = daemon;
  await client.createVolume({ name: deep, size: tib });
  await client.attachVolume(deep, {});
  for (let layer = 0; layer < 8; layer++) {
    const places = Array.from({ length: 16 }, (_, index) => (index * 8 + layer) * (tib / 128));
    writeChunks(daemon.volumePath(deep), places);
    if (layer < 7) await client.createSnapshot(`${deep}@s${layer}`);
  }
  await client.detachVolume(deep, {});
}
