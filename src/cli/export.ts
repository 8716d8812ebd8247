/** What `volume export` and `image export` share. */
import { Option, type Command } from 'commander';
import type { DiskExport, ExportFormat, ExportView, Pbkdf, Progress } from '../api/types.js';
import { Fault } from '../fault.js';
import { formatSize } from '../units.js';
import { absolute, type CliContext } from './context.js';
import { declare } from './declare.js';
import { parseCount } from './values.js';

export interface ExportOptions {
  out: string;
  format: ExportFormat;
  plaintext?: true;
  passphraseFd?: number;
  pbkdf?: Pbkdf;
}

type Work = (
  target: DiskExport,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
) => Promise<ExportView>;

export function declareExport(words: { description: string; example: string }): Command {
  const passphraseFd = new Option(
    '--passphrase-fd <n>',
    'read the passphrase of the LUKS2 file from this descriptor, its first line (default: ask)',
  );
  return declare('export', { ...words, statuses: [3, 4, 5, 6, 8, 9, 130] })
    .requiredOption('--out <file>', 'the new file, readable by its owner only')
    .addOption(
      new Option('--format <format>', 'raw: not encrypted; luks2: opened by a passphrase')
        .choices(['raw', 'luks2'])
        .default('raw'),
    )
    .option('--plaintext', 'yes, without encryption: raw needs it')
    .addOption(passphraseFd.argParser(parseCount))
    .addOption(
      new Option(
        '--pbkdf <function>',
        'what makes a key of the passphrase (default: pbkdf2, the only one that GRUB knows)',
      ).choices(['pbkdf2', 'argon2id']),
    );
}

export async function exportDisk(
  cli: CliContext,
  disk: string,
  options: ExportOptions,
  work: Work,
): Promise<void> {
  const { out, format, plaintext = false, passphraseFd, pbkdf } = options;
  const file = absolute(out);
  if (format === 'luks2') {
    if (plaintext) throw unfitting('--plaintext', 'raw');
    return exportLuks2(cli, disk, { file, format, ...(pbkdf && { pbkdf }) }, passphraseFd, work);
  }
  if (passphraseFd !== undefined) throw unfitting('--passphrase-fd', 'luks2');
  if (pbkdf !== undefined) throw unfitting('--pbkdf', 'luks2');
  const reply = await cli.longCall(`exporting ${disk}`, (...call) =>
    work({ file, plaintext }, ...call),
  );
  cli.print(
    reply,
    (view) => `wrote ${view.file}: ${formatSize(view.size)}, ${formatSize(view.data)} of data`,
  );
  cli.warn(`whoever can read ${reply.file} can read ${disk}, whatever its key's state`);
}

async function exportLuks2(
  cli: CliContext,
  disk: string,
  target: DiskExport,
  passphraseFd: number | undefined,
  work: Work,
): Promise<void> {
  const { readPassphrase } = await import('./passphrase.js');
  const { offering } = await import('./offer.js');
  const { runtimeDir } = await cli.directories();
  const passphrase = await readPassphrase(passphraseFd);
  try {
    const reply = await cli.longCall(`exporting ${disk}`, (...call) =>
      offering(passphrase, runtimeDir, (socket) =>
        work({ ...target, passphrase_socket: socket }, ...call),
      ),
    );
    cli.print(reply, (view) => `wrote ${view.file}: ${formatSize(view.size)} in LUKS2`);
    cli.warn(
      `whoever has ${reply.file} and its passphrase can read ${disk}, whatever its key's state`,
    );
  } finally {
    passphrase.fill(0);
  }
}

function unfitting(option: string, format: ExportFormat): Fault {
  return new Fault('USAGE', `${option} goes with --format ${format} only`);
}
