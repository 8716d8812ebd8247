/** The parts of a report, as Markdown. */
import type { Remark, Suite, Turn } from './results.js';
import { choose, distinct, ratioOf, spreadOf, type Spread } from './statistics.js';
import { verdicts } from './targets.js';

type Row = readonly string[];

const titles: Readonly<Record<Suite, string>> = {
  raw: 'On the file itself',
  ext4: 'On a mounted ext4 over a loop device',
  nbd: 'Over NBD, on a Unix socket',
  chain: 'Through many layers',
  control: 'Without moving data',
  memory: 'Peak memory',
  xts: 'AES-256-XTS, one thread, 128 KiB',
};

/** Suites whose subjects are systems, keyvol among them. */
const besideOthers: readonly Suite[] = ['raw', 'ext4', 'nbd'];

export function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** What was aimed at, and whether it was reached. */
export function targetTable(turns: readonly Turn[]): string {
  const rows = verdicts(turns).map(({ what, beside, backing, target, measured, reached }) => [
    ...[what, beside, backing, target, spread(measured), reached ? 'reached' : '**missed**'],
  ]);
  return table(['what', 'beside', 'backing', 'target', 'measured', ''], rows);
}

/** Every figure of one suite: medians, and least to most below each. */
export function suiteSection(turns: readonly Turn[], suite: Suite): string {
  const mine = choose(turns, { suite });
  const parts = distinct(mine, 'backing').map((backing) => {
    const here = choose(mine, { backing });
    const place = backing === '' ? [] : [`On ${backing === 'RAM' ? 'RAM' : 'a real file'}:`, ''];
    const ratios = besideOthers.includes(suite) ? ratioPart(here) : [];
    return [...place, figureTable(here), ...ratios, ...cpuPart(here)].join('\n');
  });
  return parts.length === 0 ? '' : [`## ${titles[suite]}`, ...parts].join('\n\n');
}

function figureTable(turns: readonly Turn[]): string {
  const subjects = distinct(turns, 'subject');
  const rows = distinct(turns, 'job').flatMap((job) =>
    distinct(choose(turns, { job }), 'unit').map((unit) => [
      ...[job, unit],
      ...subjects.map((subject) =>
        spread(spreadOf(choose(turns, { job, unit, subject }).map(({ value }) => value))),
      ),
    ]),
  );
  return table(['job', 'unit', ...subjects], rows);
}

/** keyvol's figure as a multiple of each other's. */
function ratioPart(turns: readonly Turn[]): string[] {
  const subjects = distinct(turns, 'subject');
  const others = subjects.filter((subject) => subject !== 'keyvol');
  if (others.length === 0 || others.length === subjects.length) return [];
  const rows = distinct(turns, 'job').map((job) => [
    job,
    ...others.map((subject) =>
      spread(ratioOf(choose(turns, { job, subject: 'keyvol' }), choose(turns, { job, subject }))),
    ),
  ]);
  return ['', 'keyvol as a multiple of:', '', table(['job', ...others], rows)];
}

function cpuPart(turns: readonly Turn[]): string[] {
  const timed = turns.filter(({ cpuSecondsPerGib }) => cpuSecondsPerGib !== undefined);
  if (timed.length === 0) return [];
  const subjects = distinct(timed, 'subject');
  const rows = distinct(timed, 'job').map((job) => [
    job,
    ...subjects.map((subject) =>
      spread(spreadOf(choose(timed, { job, subject }).map((turn) => turn.cpuSecondsPerGib ?? NaN))),
    ),
  ]);
  return ['', 'CPU seconds of its processes per GiB:', '', table(['job', ...subjects], rows)];
}

export function remarkList(title: string, remarks: readonly Remark[]): string {
  if (remarks.length === 0) return '';
  return [`## ${title}`, '', ...remarks.map(({ what, why }) => `- ${what}: ${why}`)].join('\n');
}

/** `1.23 (1.20–1.30)`; a dash for nothing. */
function spread(value: Spread | undefined): string {
  if (value === undefined) return '–';
  const { median, least, most } = value;
  return least === most ? short(median) : `${short(median)} (${short(least)}–${short(most)})`;
}

function short(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
}
