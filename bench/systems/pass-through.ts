/** keyvol's own FUSE transport over a plain file: no layers, no cipher. */
import { join } from 'node:path';
import { fuseThreads } from '../../dist/daemon/fuse.js';
import { stop } from '../shell.js';
import type { System } from '../system.js';
import { newFile } from './plain.js';

const program = 'build-bench/native/passthrough';

export const passThrough: System = {
  name: 'pass-through',
  takesFilesystem: true,
  whyNot: () => undefined,
  async start({ stage, directory, sizeBytes }) {
    const file = newFile(directory, sizeBytes);
    const mountPoint = stage.directory('pass-through');
    const args = [file, mountPoint, String(fuseThreads())];
    const daemon = await stage.shell.serve(mountPoint, join(process.cwd(), program), ...args);
    return {
      path: join(mountPoint, 'volumes', 'disk'),
      pids: daemon.pid === undefined ? [] : [daemon.pid],
      end: () => stop(daemon),
    };
  },
};
