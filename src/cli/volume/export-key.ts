import type { Command } from 'commander';
import { absolute, type CliContext } from '../context.js';
import { declare } from '../declare.js';

export function volumeExportKeyCommand(cli: CliContext): Command {
  return declare('export-key', {
    description: 'write the raw key of a volume to a new file, for cryptsetup; fills its holes',
    example: 'keyvol volume export-key db --out db.key',
    statuses: [3, 4, 5, 6, 8, 9, 130],
  })
    .argument('<volume>', 'volume name or id')
    .requiredOption('--out <file>', 'the new file, readable by its owner only')
    .action(async (volume: string, { out }: { out: string }) => {
      const daemon = await cli.connect();
      const reply = await cli.longCall(`filling ${volume}`, (onProgress, signal) =>
        daemon.exportVolumeKey(volume, { file: absolute(out) }, onProgress, signal),
      );
      cli.print(reply, (view) => `wrote ${view.file}, which opens ${view.container}`);
      cli.warn(`whoever has this file can read volume ${volume}, whatever its key's state`);
    });
}
