/**
 * The Prometheus text exposition format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** A histogram's buckets each count their own range only, and end with one up to Infinity. */
export interface HistogramSample {
  readonly labels: Labels;
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
  readonly sum: number;
}

/** Metrics of one name. `help` is one line. */
export type Family = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly samples: readonly Sample[] }
  | { readonly type: 'histogram'; readonly samples: readonly HistogramSample[] }
);

export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

/** Families without samples are left out. */
export function exposition(families: readonly Family[]): string {
  return families
    .filter((family) => family.samples.length > 0)
    .flatMap((family) => [
      `# HELP ${family.name} ${family.help}`,
      `# TYPE ${family.name} ${family.type}`,
      ...linesOf(family),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function linesOf(family: Family): string[] {
  if (family.type === 'histogram') {
    return family.samples.flatMap((sample) => histogramLines(family.name, sample));
  }
  return family.samples.map(({ labels, value }) => line(family.name, labels, value));
}

function histogramLines(name: string, { labels, buckets, sum }: HistogramSample): string[] {
  let upToHere = 0;
  const lines = buckets.map(({ upTo, count }) => {
    upToHere += count;
    return line(`${name}_bucket`, { ...labels, le: numeral(upTo) }, upToHere);
  });
  return [...lines, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, upToHere)];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numeral(value)}`;
}

function numeral(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
