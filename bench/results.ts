/** What a run found out: every turn of every job, what failed, and what was skipped. */

export const suites = ['raw', 'ext4', 'nbd', 'memory', 'control', 'chain', 'xts'] as const;
export type Suite = (typeof suites)[number];
export type Unit = 'IOPS' | 'MB/s' | 'ms' | 'MiB' | 'cycles/byte';

export interface Turn {
  readonly suite: Suite;
  /** 'RAM' or 'file'; empty where no file is involved. */
  readonly backing: string;
  readonly job: string;
  /** A system, or a variant of keyvol. */
  readonly subject: string;
  readonly unit: Unit;
  readonly round: number;
  readonly value: number;
  /** User and system time of the system's processes. */
  readonly cpuSecondsPerGib?: number;
}

export interface Remark {
  readonly what: string;
  readonly why: string;
}

export class Results {
  readonly turns: Turn[] = [];
  readonly failures: Remark[] = [];
  readonly skips: Remark[] = [];
  readonly notes: Remark[] = [];

  /** Undefined when the work failed, which is kept and said. */
  async attempt<Result>(what: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.failures.push({ what, why });
      process.stderr.write(`bench: error: ${what}: ${why}\n`);
      return undefined;
    }
  }

  note(what: string, why: string): void {
    if (!this.notes.some((note) => note.what === what)) this.notes.push({ what, why });
  }
}
