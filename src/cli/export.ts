/** What `volume export` and `image export` share. */
import type { Command } from 'commander';
import type { DiskExport, ExportView, Progress } from '../api/types.js';
import { formatSize } from '../units.js';
import { absolute, type CliContext } from './context.js';
import { declare } from './declare.js';

export interface ExportOptions {
  out: string;
  plaintext?: boolean;
}

export function declareExport(words: { description: string; example: string }): Command {
  return declare('export', { ...words, statuses: [3, 4, 5, 6, 8, 9, 130] })
    .requiredOption('--out <file>', 'the new file, sparse, readable by its owner only')
    .option('--plaintext', 'yes, without encryption');
}

export async function exportDisk(
  cli: CliContext,
  disk: string,
  { out, plaintext = false }: ExportOptions,
  work: (
    target: DiskExport,
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ) => Promise<ExportView>,
): Promise<void> {
  const target = { file: absolute(out), plaintext };
  const reply = await cli.longCall(`exporting ${disk}`, (onProgress, signal) =>
    work(target, onProgress, signal),
  );
  cli.print(
    reply,
    (view) => `wrote ${view.file}: ${formatSize(view.size)}, ${formatSize(view.data)} of data`,
  );
  cli.warn(`whoever can read ${reply.file} can read ${disk}, whatever its key's state`);
}
