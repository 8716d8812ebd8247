import { Option, type Command } from 'commander';
import type { ImageFormat, OnKeyLoss } from '../../api/types.js';
import { absolute, type CliContext } from '../context.js';
import {
  declare,
  encryptionOption,
  formatOption,
  onKeyLossOption,
  refusePlain,
} from '../declare.js';
import { createdLine } from '../views.js';
import { sizeOf } from '../values.js';

interface Options {
  size?: number;
  key?: string;
  image?: string;
  snapshot?: string;
  file?: string;
  format?: ImageFormat;
  preallocate?: true;
  onKeyLoss?: OnKeyLoss;
  encryption: boolean;
}

export function volumeCreateCommand(cli: CliContext): Command {
  return declare('create', {
    description: 'make an encrypted volume: empty, or from an image, a snapshot or a file',
    example: [
      'keyvol volume create db --size 10G --key app-db',
      'keyvol volume create web --image debian',
    ].join('\n'),
    statuses: [3, 4, 5, 6, 8, 9, 130],
  })
    .argument('<name>', 'name of the new volume')
    .option('--size <size>', 'like 10G, 512MiB; bytes without a unit', sizeOf)
    .option('--key <key>', 'master key of an empty or imported volume (default: evs/default)')
    .addOption(sourceOption('--image <image>', 'start as a clone of this image'))
    .addOption(sourceOption('--snapshot <snapshot>', 'start as a clone of this VOLUME@NAME'))
    .addOption(
      sourceOption(
        '--file <path>',
        'start with the content of this file; .gz, .xz, .zst are decompressed',
      ),
    )
    .addOption(formatOption())
    .option('--preallocate', 'take all its space on the host now')
    .addOption(onKeyLossOption())
    .addOption(encryptionOption())
    .action(async (name: string, options: Options) => {
      refusePlain(options);
      await createVolume(cli, name, options);
    });
}

function sourceOption(flags: string, description: string): Option {
  const option = new Option(flags, description);
  const others = ['image', 'snapshot', 'file'].filter((name) => name !== option.attributeName());
  return option.conflicts(others);
}

async function createVolume(cli: CliContext, name: string, options: Options): Promise<void> {
  const { encryption: _, onKeyLoss, file, ...rest } = options;
  const request = {
    name,
    ...rest,
    ...(file === undefined ? {} : { file: absolute(file) }),
    ...(onKeyLoss === undefined ? {} : { on_key_loss: onKeyLoss }),
  };
  const daemon = await cli.connect();
  const reply = await cli.longCall(`creating ${name}`, (onProgress, signal) =>
    daemon.createVolume(request, onProgress, signal),
  );
  cli.print(reply, ({ created }) => createdLine(created));
  for (const remark of reply.remarks) cli.tell(remark);
}
