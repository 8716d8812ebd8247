import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { declareExport, exportDisk, type ExportOptions } from '../export.js';

export function imageExportCommand(cli: CliContext): Command {
  return declareExport({
    description: 'write the content of an image to a new file',
    example: [
      'keyvol image export debian --out debian.raw --plaintext',
      'keyvol image export debian --out debian.luks --format luks2',
    ].join('\n'),
  })
    .argument('<image>', 'image name or id')
    .action(async (image: string, options: ExportOptions) => {
      const daemon = await cli.connect();
      await exportDisk(cli, image, options, (...call) => daemon.exportImage(image, ...call));
    });
}
