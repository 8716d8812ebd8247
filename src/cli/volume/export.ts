import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declareExport, exportDisk, type ExportOptions } from '../export.js';

export function volumeExportCommand(cli: CliContext): Command {
  return declareExport({
    description: 'write the content of a detached volume or a snapshot to a new file',
    example: [
      'keyvol volume export db@monday --out db.raw --plaintext',
      'keyvol volume export db --out db.luks --format luks2',
    ].join('\n'),
  })
    .argument('<volume>', 'volume name or id, or VOLUME@SNAPSHOT')
    .action(async (volume: string, options: ExportOptions) => {
      const daemon = await cli.connect();
      await exportDisk(cli, volume, options, (...call) => daemon.exportVolume(volume, ...call));
    });
}
