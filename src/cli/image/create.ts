import { Option, type Command } from 'commander';
import type { ImageFormat } from '../../api/types.js';
import { Fault } from '../../fault.js';
import { absolute, type CliContext } from '../context.js';
import { declare, encryptionOption, formatOption, refusePlain } from '../declare.js';
import { createdLine } from '../views.js';

interface Options {
  volume?: string;
  snapshot?: string;
  file?: string;
  format?: ImageFormat;
  key?: string;
  encryption: boolean;
}

export function imageCreateCommand(cli: CliContext): Command {
  return declare('create', {
    description: 'make an encrypted image from a volume, a snapshot or a file',
    example: [
      'keyvol image create debian --file debian-12.qcow2',
      'keyvol image create golden --volume web',
    ].join('\n'),
    statuses: [3, 4, 5, 6, 8, 9, 130],
  })
    .argument('<name>', 'name of the new image')
    .addOption(sourceOption('--volume <volume>', 'the volume as it is now, also while in use'))
    .addOption(sourceOption('--snapshot <snapshot>', 'this VOLUME@NAME'))
    .addOption(
      sourceOption('--file <path>', 'the content of this file; .gz, .xz, .zst are decompressed'),
    )
    .addOption(formatOption())
    .option('--key <key>', 'master key of an imported image (default: ims/default)')
    .addOption(encryptionOption())
    .action(async (name: string, options: Options) => {
      refusePlain(options);
      await createImage(cli, name, options);
    });
}

function sourceOption(flags: string, description: string): Option {
  const option = new Option(flags, description);
  const others = ['volume', 'snapshot', 'file'].filter((name) => name !== option.attributeName());
  return option.conflicts(others);
}

async function createImage(cli: CliContext, name: string, options: Options): Promise<void> {
  const { encryption: _, file, ...rest } = options;
  if ((file ?? rest.volume ?? rest.snapshot) === undefined) {
    throw new Fault('USAGE', `image ${name} needs a source`, {
      hint: 'give one of --volume, --snapshot, --file',
    });
  }
  const request = { name, ...rest, ...(file === undefined ? {} : { file: absolute(file) }) };
  const daemon = await cli.connect();
  const reply = await cli.longCall(`creating ${name}`, (onProgress, signal) =>
    daemon.createImage(request, onProgress, signal),
  );
  cli.print(reply, ({ created }) => createdLine(created));
  for (const remark of reply.remarks) cli.tell(remark);
}
