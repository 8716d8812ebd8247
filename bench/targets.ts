/** What keyvol is to reach beside others, each measured in one run on one machine. */
import { attachJob, attachMemoryJob } from './chain.js';
import { jobs, type Job } from './fio.js';
import { nbdJobs } from './nbd-suite.js';
import type { Turn } from './results.js';
import { choose, distinct, ratioOf, spreadOf, type Choice, type Spread } from './statistics.js';
import { xtsJob } from './xts.js';

export interface Verdict {
  readonly what: string;
  readonly beside: string;
  readonly backing: string;
  readonly target: string;
  readonly measured: Spread;
  readonly reached: boolean;
}

interface Goal {
  readonly what: string;
  readonly beside: string;
  readonly ours: Choice;
  /** Absent: the figure itself is judged. */
  readonly theirs?: Choice;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** By fio's names: the least ratio. */
type Limits = (job: Job) => number | undefined;

const besideQemu: Limits = ({ rw, block, depth }) => {
  if (rw === 'read') return 8;
  if (rw === 'write') return 5;
  if (block !== '4k' || depth > 16) return undefined;
  return rw === 'randwrite' && depth === 16 ? 4 : 4.5;
};

const besidePassThrough: Limits = ({ rw, block }) => {
  if (rw === 'read') return 0.8;
  if (rw === 'write') return 0.75;
  return block === '4k' ? 0.95 : undefined;
};

function besideSystem(suite: 'raw' | 'ext4', beside: string, limits: Limits): Goal[] {
  return jobs.flatMap((job): Goal[] => {
    const atLeast = limits(job);
    if (atLeast === undefined) return [];
    const ours = { suite, job: job.name, subject: 'keyvol' };
    const theirs = { suite, job: job.name, subject: beside };
    const what = suite === 'ext4' ? `ext4: ${job.name}` : job.name;
    return [{ what, beside, ours, theirs, atLeast }];
  });
}

/** Whole copies, and small requests, where the better of the others counts: both. */
function overNbd(beside: string, copies: number): Goal[] {
  return nbdJobs.map(({ name: job, isCopy }) => ({
    what: `NBD: ${job}`,
    beside,
    ours: { suite: 'nbd', job, subject: 'keyvol' },
    theirs: { suite: 'nbd', job, subject: beside },
    atLeast: isCopy ? copies : 1.5,
  }));
}

/** Time through many layers over time through one: the inverse of their speeds. */
function throughLayers(): Goal[] {
  return jobs
    .filter(({ rw, depth }) => rw === 'read' || (rw === 'randread' && depth === 1))
    .flatMap(({ name: job }) =>
      ['32 layers, data in the lowest', '32 layers, data in all'].map((deep): Goal => {
        const one = { suite: 'chain', job, subject: '1 layer' } as const;
        const ours = one;
        const theirs = { suite: 'chain', job, subject: deep } as const;
        return { what: `time of ${job}: ${deep}`, beside: '1 layer', ours, theirs, atMost: 1.15 };
      }),
    );
}

function xtsGoals(kernel: string): Goal[] {
  return ['encrypt', 'decrypt'].flatMap((direction): Goal[] => {
    const figure = (sectorBytes: number, subject: string, unit: Turn['unit']): Choice => ({
      ...{ suite: 'xts', job: xtsJob(sectorBytes, direction), subject, unit },
    });
    const beside = (subject: string, sectorBytes: number, atLeast: number): Goal => ({
      what: `AES-256-XTS, ${xtsJob(sectorBytes, direction)}`,
      beside: subject,
      ours: figure(sectorBytes, kernel, 'MB/s'),
      theirs: figure(sectorBytes, subject, 'MB/s'),
      atLeast,
    });
    const cycles: Goal = {
      what: `AES-256-XTS, ${xtsJob(4096, direction)}: cycles per byte`,
      beside: '0.219 of VAES-512',
      ours: figure(4096, 'keyvol vaes512', 'cycles/byte'),
      atMost: 0.219 * 1.1,
    };
    return [
      cycles,
      beside('OpenSSL', 4096, 2.2),
      beside('libgcrypt', 4096, 1.15),
      beside('OpenSSL', 512, 3),
    ];
  });
}

const attachGoals: readonly Goal[] = [
  {
    what: `${attachJob}, ms`,
    beside: '',
    ours: { suite: 'control', job: attachJob },
    atMost: 100,
  },
  {
    what: `${attachJob}, MiB`,
    beside: '',
    ours: { suite: 'control', job: attachMemoryJob },
    atMost: 20,
  },
];

/** One for each target and backing that was measured. */
export function verdicts(turns: readonly Turn[]): Verdict[] {
  const kernels = distinct(choose(turns, { suite: 'xts' }), 'subject');
  const goals = [
    ...besideSystem('raw', 'QEMU LUKS', besideQemu),
    ...besideSystem('raw', 'pass-through', besidePassThrough),
    ...besideSystem('raw', 'gocryptfs', () => 3),
    ...besideSystem('ext4', 'pass-through', () => 0.8),
    ...overNbd('nbdkit luks', 2),
    ...overNbd('qemu-nbd', 4),
    ...throughLayers(),
    ...attachGoals,
    ...xtsGoals(kernels.find((name) => name.startsWith('keyvol')) ?? ''),
  ];
  return ['RAM', 'file', ''].flatMap((backing) =>
    goals.flatMap((goal) => verdict(turns, goal, backing)),
  );
}

function verdict(turns: readonly Turn[], goal: Goal, backing: string): Verdict[] {
  const { what, beside, ours, theirs, atLeast, atMost } = goal;
  const mine = choose(turns, { ...ours, backing });
  const measured =
    theirs === undefined
      ? spreadOf(mine.map(({ value }) => value))
      : ratioOf(mine, choose(turns, { ...theirs, backing }));
  if (measured === undefined) return [];
  const reached =
    measured.median >= (atLeast ?? -Infinity) && measured.median <= (atMost ?? Infinity);
  const target = atLeast === undefined ? `≤ ${round(atMost ?? 0)}` : `≥ ${atLeast}`;
  return [{ what, beside, backing, target, measured, reached }];
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
