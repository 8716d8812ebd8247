/** What a run leaves: raw figures, tables and a plot in bench/results, and docs/performance.md. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuModel, type Facts } from './machine.js';
import { plot } from './plot.js';
import { suites, type Remark, type Turn } from './results.js';
import { remarkList, suiteSection, table, targetTable } from './tables.js';
import { verdicts } from './targets.js';

const directory = join('bench', 'results');

export interface Report {
  readonly date: string;
  readonly settings: {
    readonly rounds: number;
    readonly seconds: number;
    readonly sizeBytes: number;
  };
  readonly machine: Facts;
  readonly versions: Facts;
  readonly commands: readonly string[];
  readonly turns: readonly Turn[];
  readonly failures: readonly Remark[];
  readonly skips: readonly Remark[];
  readonly notes: readonly Remark[];
}

/** Tables, then what did not work, to stdout. */
export function printSummary(report: Report): void {
  const { turns, failures, skips, notes } = report;
  const figures = suites.map((suite) => suiteSection(turns, suite));
  const remarks = [
    remarkList('Notes', notes),
    remarkList('Skipped', skips),
    remarkList('Failed', failures),
  ];
  console.log(sections([`## Targets\n\n${targetTable(turns)}`, ...figures, ...remarks]));
}

export function writeReport(report: Report): void {
  const model = cpuModel()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  const name = `${report.date.slice(0, 10)}-${model}`;
  mkdirSync(directory, { recursive: true });
  const write = (ending: string, text: string): void =>
    writeFileSync(join(directory, `${name}.${ending}`), text);
  write('json', `${JSON.stringify(report)}\n`);
  write('svg', plot(report.turns));
  write('md', `# ${name}\n\n${figuresOf(report, `${name}.svg`)}`);
  // A page with holes helps nobody; the last whole run stays.
  if (report.failures.length > 0) return;
  const plotPath = `../bench/results/${name}.svg`;
  writeFileSync(
    join('docs', 'performance.md'),
    sections([
      introduction(report, name),
      readFileSync(join('bench', 'findings.md'), 'utf8').trimEnd(),
      figuresOf(report, plotPath),
    ]),
  );
}

function introduction({ turns, settings, date }: Report, name: string): string {
  const judged = verdicts(turns);
  const reached = judged.filter((verdict) => verdict.reached).length;
  const gib = settings.sizeBytes / 2 ** 30;
  return `# Performance

Written by \`npm run bench\`, on ${date.slice(0, 10)}. ${reached} of ${judged.length} targets are reached.

All systems serve a file of ${gib} GiB of the same random data on the same backing, a tmpfs or a real file, at the same time. fio with direct I/O runs each job on each of them in turn, ${settings.rounds} rounds of ${settings.seconds} s. A figure is the median of its rounds, with the least and the most in brackets; a ratio is that of two figures of one round, and its median and spread are those of these ratios. Below a FUSE file every system uses the page cache of its backing; the plain file on a real disk does not. *pass-through* is keyvol's own FUSE transport, with as many threads, over a plain file: what is lost beside it, layers and encryption cost. Over NBD, nbdcopy copies the whole disk in requests of 1 MiB for as long as a round lasts, out of a file or to nowhere, and fio's own client sends small requests; nbdkit and qemu-nbd serve a LUKS1 file. CPU time is that of a system's own processes, without kernel threads and fio.

The raw figures: [${name}.json](../bench/results/${name}.json). To repeat, as root: \`npm run bench\`, with 8 GiB of memory and of disk to spare, in about an hour. \`npm run bench -- --help\` lists options; \`--only WORD\` runs and prints a part.`;
}

function figuresOf(report: Report, plotPath: string): string {
  const { turns, machine, versions, commands, failures, skips, notes } = report;
  const facts = (title: string, rows: Facts): string => `## ${title}\n\n${table(['', ''], rows)}`;
  return sections([
    `## Targets\n\n${targetTable(turns)}`,
    `![keyvol's speed as a multiple of that of others](${plotPath})`,
    ...suites.map((suite) => suiteSection(turns, suite)),
    remarkList('Notes', notes),
    remarkList('Skipped', skips),
    remarkList('Failed', failures),
    facts('Machine', machine),
    facts('Versions', versions),
    `## Commands\n\nEach once; \`$RAM\` and \`$FILE\` are the backings, \`$WORK\` a temporary directory.\n\n\`\`\`\n${commands.join('\n')}\n\`\`\``,
  ]);
}

function sections(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
