/** What `npm run bench -- …` takes. */
import { parseArgs } from 'node:util';

const mib = 2 ** 20;

export interface Options {
  readonly help: boolean;
  readonly smoke: boolean;
  readonly json: boolean;
  /** Systems, suites and jobs to run are those with one of these words in their names; none: all. */
  readonly only: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly backing: string;
  /** Of the file that each system serves. */
  readonly sizeBytes: number;
  readonly chainBytes: number;
}

export const usage = `usage: npm run bench -- [--smoke] [--json] [--only WORD]... [--rounds N] [--seconds N] [--backing DIR]

  --smoke        every system and job once and briefly, to see that all work; writes no results
  --only WORD    only this backing (RAM, file), or systems, or suites and jobs, with this word in their
                 names ("raw: 1 MiB"); prints, writes nothing
  --json         prints every turn instead of tables
  --rounds N     turns of each job (5)
  --seconds N    length of one turn (3)
  --backing DIR  where the real files lie (build-bench)
`;

/** Throws what is to be printed for options that are not understood. */
export function optionsOf(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      backing: { type: 'string', default: 'build-bench' },
    },
  });
  const { help, smoke, json, only, backing } = values;
  const rounds = numberOf(values.rounds ?? (smoke ? '1' : '5'), 'rounds');
  const seconds = numberOf(values.seconds ?? (smoke ? '0.1' : '3'), 'seconds');
  const sizes = smoke
    ? { sizeBytes: 64 * mib, chainBytes: 8 * mib }
    : { sizeBytes: 1024 * mib, chainBytes: 256 * mib };
  return { help, smoke, json, only, backing, rounds, seconds, ...sizes };
}

function numberOf(text: string, what: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`--${what} takes a number above 0`);
}
