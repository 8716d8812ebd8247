/** An ext4 filesystem in a system's file, through a loop device. */
import type { Stage } from './stage.js';

export interface MountedExt4 {
  readonly directory: string;
  end(): Promise<void>;
}

/** Takes the whole file, whatever is in it. */
export async function mountExt4(stage: Stage, path: string): Promise<MountedExt4> {
  const { shell } = stage;
  const loopOptions = ['--find', '--show', '--direct-io=on', '--sector-size', '4096'];
  const loop = (await shell.run('losetup', ...loopOptions, path)).trim();
  shell.log.name(loop, '$LOOP');
  const directory = stage.directory('ext4');
  // Nothing is left for the kernel to initialise while jobs run.
  const options = 'nodiscard,lazy_itable_init=0,lazy_journal_init=0';
  await shell.run('mkfs.ext4', '-q', '-F', '-E', options, loop);
  await shell.run('mount', loop, directory);
  return {
    directory,
    end: async () => {
      await shell.run('umount', directory);
      await shell.run('losetup', '--detach', loop);
    },
  };
}
