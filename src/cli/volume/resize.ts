import type { Command } from 'commander';
import type { DaemonClient, VolumeResize } from '../../api/types.js';
import { Fault } from '../../fault.js';
import { formatSize } from '../../units.js';
import type { CliContext } from '../context.js';
import { declare } from '../declare.js';
import { sizeOf } from '../values.js';

interface Options {
  size: number;
  growFilesystem?: true;
  shrink?: true;
  confirm?: string;
}

export function volumeResizeCommand(cli: CliContext): Command {
  return declare('resize', {
    description: 'make a volume larger, in use or not; or smaller, detached',
    example: 'keyvol volume resize db --size 20G --grow-filesystem',
    statuses: [3, 4, 5, 6, 8, 9],
  })
    .argument('<volume>', 'volume name or id')
    .requiredOption('--size <size>', 'like 20G, 512MiB; bytes without a unit', sizeOf)
    .option('--grow-filesystem', 'of a mounted volume, too: ext4, xfs or btrfs')
    .option('--shrink', 'make it smaller; what it holds beyond its new end is lost')
    .option('--confirm <name>', "the volume's name, needed to shrink it")
    .action(async (volume: string, { growFilesystem, ...asked }: Options) => {
      const daemon = await cli.connect();
      const growth = growFilesystem === true ? { grow_filesystem: true } : {};
      const confirmed = await confirmation(cli, daemon, volume, asked);
      const view = await daemon.resizeVolume(volume, { ...asked, ...growth, ...confirmed });
      cli.print(view, () => `volume ${view.name} has ${formatSize(view.size)}`);
    });
}

async function confirmation(
  cli: CliContext,
  daemon: DaemonClient,
  volume: string,
  { size, shrink, confirm }: Options,
): Promise<Pick<VolumeResize, 'confirm'>> {
  if (shrink === undefined || confirm !== undefined) return {};
  const view = await daemon.showVolume(volume);
  if (size >= view.size) return {};
  const lost = `what it holds beyond ${formatSize(size)} will be lost`;
  const typed = await cli.askFor(`${lost}; type the volume's name (${view.name}) to go on:`);
  if (typed === undefined) return {};
  if (typed === view.name) return { confirm: typed };
  throw new Fault('CONFIRMATION_REQUIRED', `shrinking volume ${view.name} is not confirmed`);
}
