/** The fio jobs, one turn at a time. */
import { closeSync, constants, openSync } from 'node:fs';
import type { Unit } from './results.js';
import type { Shell } from './shell.js';

export interface Job {
  readonly name: string;
  readonly unit: Unit;
  readonly rw: 'randread' | 'randwrite' | 'randrw' | 'read' | 'write';
  readonly block: '4k' | '64k' | '1m';
  readonly depth: number;
}

const small = [1, 16, 64].flatMap((depth): Job[] => [
  { name: `4 KiB random read, depth ${depth}`, unit: 'IOPS', rw: 'randread', block: '4k', depth },
  { name: `4 KiB random write, depth ${depth}`, unit: 'IOPS', rw: 'randwrite', block: '4k', depth },
]);

export const jobs: readonly Job[] = [
  ...small,
  { name: '64 KiB mixed, depth 16', unit: 'MB/s', rw: 'randrw', block: '64k', depth: 16 },
  { name: '1 MiB sequential read, depth 4', unit: 'MB/s', rw: 'read', block: '1m', depth: 4 },
  { name: '1 MiB sequential write, depth 4', unit: 'MB/s', rw: 'write', block: '1m', depth: 4 },
];

export type Target = (
  | { readonly path: string; readonly direct: boolean }
  /** Of an NBD export. */
  | { readonly uri: string }
) & { readonly sizeBytes: number };

export interface FioResult {
  readonly value: number;
  readonly movedBytes: number;
}

interface Side {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly io_bytes: number;
}

/** Whether a file takes O_DIRECT. */
export function takesDirectIo(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}

/** Writes the whole file, so that what is read later is data. */
export async function fill(shell: Shell, target: Target): Promise<void> {
  await fio(shell, target, '--rw=write', '--bs=1m', '--iodepth=4', '--refill_buffers');
}

/** One turn of a job; its figure is in the job's unit, reads and writes together. */
export async function measure(
  shell: Shell,
  target: Target,
  { rw, block, depth, unit }: Job,
  seconds: number,
): Promise<FioResult> {
  const load = [`--rw=${rw}`, `--bs=${block}`, `--iodepth=${depth}`, '--norandommap'];
  const timing = ['--randrepeat=1', '--time_based', `--runtime=${seconds * 1000}ms`];
  const text = await fio(shell, target, ...load, ...timing, '--output-format=json');
  // The part of fio's report that is used here; it may have remarks before it.
  const report = JSON.parse(text.slice(text.indexOf('{'))) as {
    jobs: { error: number; read: Side; write: Side }[];
  };
  const [job] = report.jobs;
  if (job?.error !== 0) throw new Error('fio reported an error');
  const { read, write } = job;
  const movedBytes = read.io_bytes + write.io_bytes;
  if (movedBytes === 0) throw new Error('fio moved nothing');
  const value = unit === 'IOPS' ? read.iops + write.iops : (read.bw_bytes + write.bw_bytes) / 1e6;
  return { value, movedBytes };
}

async function fio(shell: Shell, target: Target, ...options: string[]): Promise<string> {
  const fixed = ['--name=job', '--thread', '--numjobs=1', `--size=${target.sizeBytes}`];
  return await shell.run('fio', ...fixed, ...placeOf(target), ...options);
}

function placeOf(target: Target): string[] {
  if ('uri' in target) return ['--ioengine=nbd', `--uri=${target.uri}`];
  const { path, direct } = target;
  const file = [`--filename=${path}`, `--direct=${direct ? 1 : 0}`];
  return ['--ioengine=libaio', '--fallocate=none', ...file];
}
