/**
 * The first figures of the README: memory of the daemon with 20 attached volumes, the time of
 * `keyvol key list`, and throughput beside QEMU's storage daemon (LUKS over FUSE) on the same
 * RAM-backed files, in turn. Needs root and
 * qemu-storage-daemon (Debian's qemu-system-common and qemu-utils); prints Markdown.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const directory = mkdtempSync('/dev/shm/keyvol-figures-');
const rounds = 3;
const seconds = 4;
const attachedVolumes = 20;
const sizeBytes = 2 ** 30;

interface Job {
  readonly name: string;
  readonly unit: 'IOPS' | 'MB/s';
  readonly rw: string;
  readonly bs: string;
  readonly depth: number;
}

const jobs: readonly Job[] = [
  { name: '4 KiB random read, depth 1', unit: 'IOPS', rw: 'randread', bs: '4k', depth: 1 },
  { name: '4 KiB random read, depth 16', unit: 'IOPS', rw: 'randread', bs: '4k', depth: 16 },
  { name: '4 KiB random write, depth 1', unit: 'IOPS', rw: 'randwrite', bs: '4k', depth: 1 },
  { name: '4 KiB random write, depth 16', unit: 'IOPS', rw: 'randwrite', bs: '4k', depth: 16 },
  { name: '1 MiB sequential read, depth 4', unit: 'MB/s', rw: 'read', bs: '1m', depth: 4 },
  { name: '1 MiB sequential write, depth 4', unit: 'MB/s', rw: 'write', bs: '1m', depth: 4 },
];

interface Comparison {
  readonly job: Job;
  readonly ours: number;
  readonly theirs: number;
}

function run(file: string, ...args: string[]): string {
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function keyvol(...args: string[]): string {
  const state = ['--state-dir', join(directory, 'state')];
  const runtime = ['--runtime-dir', join(directory, 'run')];
  return run(process.execPath, cli, ...state, ...runtime, ...args);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function fio(path: string, ...options: string[]): string {
  return run('fio', '--name=job', `--filename=${path}`, '--ioengine=libaio', ...options);
}

function fill(path: string): void {
  fio(path, '--rw=write', '--bs=1m', '--direct=1', `--size=${sizeBytes}`);
}

function measure(path: string, { rw, bs, depth, unit }: Job): number {
  const load = [`--rw=${rw}`, `--bs=${bs}`, `--iodepth=${depth}`, `--size=${sizeBytes}`];
  const timing = ['--direct=1', '--time_based', `--runtime=${seconds}`, '--output-format=json'];
  // The part of fio's report that is used here.
  const report = JSON.parse(fio(path, ...load, ...timing)) as {
    jobs: Record<'read' | 'write', { iops: number; bw_bytes: number }>[];
  };
  const side = report.jobs[0]?.[rw.includes('read') ? 'read' : 'write'];
  if (side === undefined) throw new Error('fio reported no job');
  return unit === 'IOPS' ? side.iops : side.bw_bytes / 1e6;
}

/** QEMU's storage daemon exporting a LUKS file over FUSE: its export's path, and the daemon. */
async function startQemu(): Promise<{ exported: string; daemon: ChildProcess }> {
  const image = join(directory, 'qemu.luks');
  const exported = join(directory, 'qemu.raw');
  const secret = ['--object', 'secret,id=s,data=a-test-passphrase'];
  const format = ['-f', 'luks', '-o', 'key-secret=s,iter-time=2000'];
  run('qemu-img', 'create', ...secret, ...format, image, String(sizeBytes));
  closeSync(openSync(exported, 'w'));
  const options = [
    ...secret,
    ...['--blockdev', `driver=file,node-name=file,filename=${image}`],
    ...['--blockdev', 'driver=luks,node-name=luks,file=file,key-secret=s'],
    ...['--export', `type=fuse,id=e,node-name=luks,mountpoint=${exported},writable=on`],
  ];
  const daemon = spawn('qemu-storage-daemon', options, { stdio: 'inherit' });
  while (!readFileSync('/proc/mounts', 'utf8').includes(exported)) {
    if (daemon.exitCode !== null) throw new Error('qemu-storage-daemon did not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { exported, daemon };
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function memoryOfDaemonMib(): number {
  const names = Array.from({ length: attachedVolumes }, (_, index) => `m${index}`);
  for (const name of names) {
    keyvol('volume', 'create', name, '--size', '1G');
    keyvol('volume', 'attach', name);
  }
  // The view of `keyvol status` has the daemon's process id.
  const { pid } = JSON.parse(keyvol('status', '--json')) as { pid: number };
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  for (const name of names) keyvol('volume', 'detach', name);
  return Number(resident) / 1024;
}

function keyListMs(): number {
  const times = Array.from({ length: 15 }, () => {
    const startedNs = process.hrtime.bigint();
    keyvol('key', 'list');
    return Number(process.hrtime.bigint() - startedNs) / 1e6;
  });
  return median(times);
}

/** A B A B: neither system has the quieter half of the run. */
function compareOne(job: Job, ours: string, theirs: string): Comparison {
  const figures = Array.from({ length: rounds }, () => [measure(ours, job), measure(theirs, job)]);
  const side = (index: number): number => median(figures.map((round) => round[index] ?? NaN));
  return { job, ours: side(0), theirs: side(1) };
}

async function compare(): Promise<Comparison[]> {
  keyvol('volume', 'create', 'v', '--size', String(sizeBytes));
  keyvol('volume', 'attach', 'v');
  const ours = join(directory, 'run', 'disks', 'volumes', 'v');
  const { exported, daemon } = await startQemu();
  try {
    fill(ours);
    fill(exported);
    return jobs.map((job) => compareOne(job, ours, exported));
  } finally {
    await stop(daemon);
    keyvol('volume', 'detach', 'v');
  }
}

function print(residentMib: number, listMs: number, rows: readonly Comparison[]): void {
  console.log('| what | figure |\n| --- | --- |');
  const memory = `resident memory of the daemon, ${attachedVolumes} attached volumes`;
  console.log(`| ${memory} | ${residentMib.toFixed(0)} MiB |`);
  console.log(`| \`keyvol key list\`, median of 15 | ${listMs.toFixed(0)} ms |\n`);
  console.log('| job | keyvol | QEMU storage daemon | ratio |\n| --- | --- | --- | --- |');
  for (const { job, ours, theirs } of rows) {
    const figures = `${ours.toFixed(0)} ${job.unit} | ${theirs.toFixed(0)} ${job.unit}`;
    console.log(`| ${job.name} | ${figures} | ${(ours / theirs).toFixed(1)} |`);
  }
}

mkdirSync(join(directory, 'run'), { mode: 0o700 });
try {
  keyvol('daemon', 'start');
  const residentMib = memoryOfDaemonMib();
  const listMs = keyListMs();
  print(residentMib, listMs, await compare());
} finally {
  keyvol('daemon', 'stop');
  rmSync(directory, { recursive: true, force: true });
}
