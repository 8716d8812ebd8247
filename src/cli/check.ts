/** What `volume check` and `image check` share. */
import type { Command } from 'commander';
import type { CheckRequest, CheckView, FindingView } from '../api/check-types.js';
import { formatSize } from '../units.js';
import type { CliContext, LongCall } from './context.js';
import { declare } from './declare.js';
import { EndedWith } from './exit.js';
import { counted, table } from './print.js';

export interface CheckOptions {
  readData?: true;
  repair?: true;
}

export function declareCheck(words: { description: string; example: string }): Command {
  return declare('check', { ...words, statuses: [3, 4, 5, 6, 8, 9, 130] })
    .option('--read-data', 'also read every sector that was written; needs the key')
    .option('--repair', 'write a damaged header copy anew from the good one; changes nothing else');
}

/** Prints what was found; ends with status 8 when damage is left. */
export async function checkDisk(
  cli: CliContext,
  disk: string,
  { readData, repair }: CheckOptions,
  work: (request: CheckRequest, ...call: Parameters<LongCall<CheckView>>) => Promise<CheckView>,
): Promise<void> {
  const request = { ...(readData && { read_data: true }), ...(repair && { repair: true }) };
  const report = await cli.longCall(`reading ${disk}`, (...call) => work(request, ...call));
  cli.print(report, shown);
  if (readData && report.data === undefined)
    cli.warn(`${disk} cannot be opened: no data were read`);
  for (const remark of report.remarks) cli.tell(`of other disks: ${remark}`);
  if (report.clean) return;
  const damages = report.findings.filter(isDamage);
  const cures = new Set(damages.map(({ cure }) => cure));
  const hint = cures.size === 1 ? [...cures][0] : undefined;
  const message = `${report.kind} ${report.name}: damage found (${String(damages.length)})`;
  throw new EndedWith(8, hint, message);
}

function isDamage({ severity, repaired }: FindingView): boolean {
  return severity === 'damage' && !repaired;
}

function shown(report: CheckView): string {
  return [layerTable(report), ...report.findings.map(findingLines), summary(report)].join('\n');
}

function layerTable({ layers }: CheckView): string {
  return table(
    ['LAYER', 'SIZE', 'VISIBLE', 'KEY', 'FINDINGS'],
    layers.map((layer) => [
      layer.id,
      formatSize(layer.size),
      formatSize(layer.visible),
      layer.key,
      layer.findings === 0 ? 'none' : String(layer.findings),
    ]),
  );
}

function findingLines(finding: FindingView): string {
  const { kind, severity, message, cure, repaired } = finding;
  if (repaired) return `repaired (${kind}): ${message}`;
  return `${severity} (${kind}): ${message}\n  cure: ${cure}`;
}

function summary(report: CheckView): string {
  const { name, kind, clean, data, layers, key_unusable: keyUnusable } = report;
  const read = data === undefined ? '' : `, ${formatSize(data.read)} read`;
  const failed = data?.failed ? `, ${formatSize(data.failed)} could not be` : '';
  const key = keyUnusable === undefined ? '' : `; data keys were not tried: ${keyUnusable}`;
  const repaired = report.findings.filter((finding) => finding.repaired).length;
  const mended = repaired === 0 ? '' : `, ${String(repaired)} repaired`;
  const verdict = clean ? `no damage${repaired === 0 ? '' : ' left'}` : 'damaged';
  const counts = `${counted(layers.length, 'layer')}${mended}${read}${failed}`;
  return `${kind} ${name}: ${verdict}, ${counts}${key}`;
}
