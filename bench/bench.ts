/** What every suite gets, and how it takes its turns. */
import type { Options } from './options.js';
import { cpuSeconds } from './processes.js';
import type { Results, Suite, Unit } from './results.js';
import type { Stage } from './stage.js';

const gib = 2 ** 30;

export interface Bench {
  readonly options: Options;
  readonly stage: Stage;
  readonly results: Results;
  /** Whether `--only` leaves this in. */
  readonly wantsSystem: (name: string) => boolean;
  readonly wantsJob: (suite: Suite, job: string) => boolean;
}

export interface TurnValue {
  readonly value: number;
  readonly movedBytes?: number;
}

/** One who takes turns at a job. */
export interface Contender {
  readonly subject: string;
  /** Whose time is counted; none: it is not. */
  readonly pids: readonly number[];
  readonly turn: (round: number) => Promise<TurnValue>;
}

export interface Contest {
  readonly suite: Suite;
  readonly backing: string;
  readonly job: string;
  readonly unit: Unit;
}

/** A B A B: no contender has the quieter part of the run. All at once where it is only a try. */
export async function takeTurns(
  bench: Bench,
  contest: Contest,
  contenders: readonly Contender[],
): Promise<void> {
  const { options, results } = bench;
  if (!bench.wantsJob(contest.suite, contest.job)) return;
  for (let round = 0; round < options.rounds; round++) {
    const one = (contender: Contender): Promise<void> => takeTurn(bench, contest, contender, round);
    if (options.smoke) await Promise.all(contenders.map(one));
    else for (const contender of contenders) await one(contender);
  }
  const place = [contest.suite, contest.backing, contest.job].filter((word) => word !== '');
  process.stderr.write(`bench: ${place.join(', ')}: done (${results.turns.length} turns so far)\n`);
}

async function takeTurn(
  { results }: Bench,
  contest: Contest,
  { subject, pids, turn }: Contender,
  round: number,
): Promise<void> {
  const { suite, backing, job } = contest;
  await results.attempt(`${suite}, ${backing}, ${job}, ${subject}`, async () => {
    const cpuBefore = cpuSeconds(pids);
    const { value, movedBytes = 0 } = await turn(round);
    const used = cpuSeconds(pids) - cpuBefore;
    const cpu = movedBytes > 0 && pids.length > 0;
    const perGib = cpu ? { cpuSecondsPerGib: (used / movedBytes) * gib } : {};
    results.turns.push({ ...contest, subject, round, value, ...perGib });
  });
}
