/** The fio jobs on the file of every system, and on a filesystem in it. */
import { join } from 'node:path';
import { takeTurns, type Bench, type Contender } from './bench.js';
import { mountExt4, type MountedExt4 } from './ext4.js';
import { fill, jobs, measure, takesDirectIo, type Job, type Target } from './fio.js';
import { ownMib, peakMib } from './processes.js';
import type { Suite } from './results.js';
import type { Backing } from './stage.js';
import type { RunningSystem, System } from './system.js';
import { fuseNative } from './systems/fuse-native.js';
import { gocryptfs } from './systems/gocryptfs.js';
import { keyvol } from './systems/keyvol.js';
import { passThrough } from './systems/pass-through.js';
import { plain } from './systems/plain.js';
import { qemu } from './systems/qemu.js';

export const systems: readonly System[] = [keyvol, qemu, gocryptfs, passThrough, plain, fuseNative];

interface Started {
  readonly system: System;
  readonly running: RunningSystem;
}

/** All systems on one backing, side by side; the jobs take turns. */
export async function runSystems(bench: Bench, backing: Backing): Promise<void> {
  if (!jobs.some(({ name }) => bench.wantsJob('raw', name) || bench.wantsJob('ext4', name))) return;
  const started: Started[] = [];
  try {
    for (const system of systems) {
      const running = await startSystem(bench, backing, system);
      if (running !== undefined) started.push({ system, running });
    }
    await runRaw(bench, backing, started);
    await runExt4(bench, backing, started);
    for (const one of started) recordMemory(bench, backing, one);
  } finally {
    for (const { system, running } of started) {
      await bench.results.attempt(`end of ${system.name}`, () => running.end());
    }
  }
}

async function startSystem(
  { options, results, stage, wantsSystem }: Bench,
  backing: Backing,
  system: System,
): Promise<RunningSystem | undefined> {
  if (!wantsSystem(system.name)) return undefined;
  const why = system.whyNot();
  if (why !== undefined) {
    results.skips.push({ what: system.name, why });
    return undefined;
  }
  const { sizeBytes } = options;
  const directory = stage.directory(system.name.replaceAll(' ', '-'), backing.directory);
  return await results.attempt(`start of ${system.name} on ${backing.name}`, () =>
    system.start({ stage, directory, sizeBytes }),
  );
}

async function runRaw(bench: Bench, backing: Backing, started: readonly Started[]): Promise<void> {
  if (!jobs.some(({ name }) => bench.wantsJob('raw', name))) return;
  const { sizeBytes } = bench.options;
  const targets = started.map(({ system, running }) => {
    const direct = takesDirectIo(running.path);
    if (!direct) bench.results.note(`${system.name}, ${backing.name}`, 'takes no direct I/O');
    return { system, running, target: { path: running.path, sizeBytes, direct } };
  });
  await runJobs(bench, backing, 'raw', targets);
}

async function runExt4(bench: Bench, backing: Backing, started: readonly Started[]): Promise<void> {
  if (!jobs.some(({ name }) => bench.wantsJob('ext4', name))) return;
  const sizeBytes = bench.options.sizeBytes * 0.75;
  const mounts: MountedExt4[] = [];
  const targets: Measured[] = [];
  for (const { system, running } of started.filter((one) => one.system.takesFilesystem)) {
    const what = `ext4 of ${system.name} on ${backing.name}`;
    const mount = await bench.results.attempt(what, () => mountExt4(bench.stage, running.path));
    if (mount === undefined) continue;
    mounts.push(mount);
    const path = join(mount.directory, 'file');
    targets.push({ system, running, target: { path, sizeBytes, direct: true } });
  }
  try {
    await runJobs(bench, backing, 'ext4', targets);
  } finally {
    for (const mount of mounts) await bench.results.attempt('end of ext4', () => mount.end());
  }
}

interface Measured extends Started {
  readonly target: Target;
}

async function runJobs(
  bench: Bench,
  backing: Backing,
  suite: Suite,
  measured: readonly Measured[],
): Promise<void> {
  const { shell } = bench.stage;
  for (const { system, target } of measured) {
    await bench.results.attempt(`filling ${system.name}`, () => fill(shell, target));
  }
  await shell.run('sync', '--file-system', backing.directory);
  for (const job of jobsOn(bench, backing, suite)) {
    const contest = { suite, backing: backing.name, job: job.name, unit: job.unit };
    await takeTurns(bench, contest, measured.map(contenderOf(bench, job)));
  }
}

/** All of them on one file of each system; elsewhere a try of a few will do. */
function jobsOn({ options }: Bench, backing: Backing, suite: Suite): readonly Job[] {
  const all = !options.smoke || (suite === 'raw' && backing.name === 'RAM');
  return all ? jobs : jobs.filter(({ rw }) => rw === 'read' || rw === 'write');
}

function contenderOf({ stage, options }: Bench, job: Job): (measured: Measured) => Contender {
  return ({ system, running, target }) => ({
    subject: system.name,
    pids: running.pids,
    turn: () => measure(stage.shell, target, job, options.seconds),
  });
}

function recordMemory({ results }: Bench, backing: Backing, { system, running }: Started): void {
  if (running.pids.length === 0) return;
  for (const [job, value] of [
    ['peak resident memory, mapped files included', peakMib(running.pids)],
    ['memory of its own after all jobs', ownMib(running.pids)],
  ] as const) {
    results.turns.push({
      suite: 'memory',
      backing: backing.name,
      job,
      subject: system.name,
      unit: 'MiB',
      round: 0,
      value,
    });
  }
}
