/** A pass-through in JavaScript: the npm package fuse-native over a plain file. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stop } from '../shell.js';
import type { System } from '../system.js';
import { newFile } from './plain.js';

const program = fileURLToPath(new URL('./fuse-native-program.js', import.meta.url));

export const fuseNative: System = {
  name: 'fuse-native',
  takesFilesystem: false,
  whyNot() {
    try {
      createRequire(import.meta.url)('fuse-native');
      return undefined;
    } catch {
      return 'the npm package fuse-native is not installed';
    }
  },
  async start({ stage, directory, sizeBytes }) {
    const file = newFile(directory, sizeBytes);
    const mountPoint = stage.directory('fuse-native');
    const daemon = await stage.shell.serve(mountPoint, process.execPath, program, file, mountPoint);
    return {
      path: join(mountPoint, 'disk'),
      pids: daemon.pid === undefined ? [] : [daemon.pid],
      end: async () => {
        await stage.shell.run('umount', mountPoint);
        await stop(daemon);
      },
    };
  },
};
