import type { Command } from 'commander';
import { checkDisk, declareCheck, type CheckOptions } from '../check.js';
import type { CliContext } from '../context.js';

export function volumeCheckCommand(cli: CliContext): Command {
  return declareCheck({
    description:
      'see whether a volume or a snapshot is whole: containers, headers, keys, and data if asked',
    example:
      'keyvol volume check db\nkeyvol volume check db@monday --read-data\nkeyvol volume check db --repair',
  })
    .argument('<volume>', 'volume name or id, or VOLUME@SNAPSHOT')
    .action(async (volume: string, options: CheckOptions) => {
      const daemon = await cli.connect();
      await checkDisk(cli, volume, options, (...call) => daemon.checkVolume(volume, ...call));
    });
}
