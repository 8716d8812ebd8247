/** keyvol: an attached volume. */
import { KeyvolDaemon } from '../keyvol-daemon.js';
import type { System } from '../system.js';

const volume = 'v';

export const keyvol: System = {
  name: 'keyvol',
  takesFilesystem: true,
  whyNot: () => undefined,
  async start({ stage, directory, sizeBytes }) {
    const daemon = await KeyvolDaemon.start(stage, directory);
    await daemon.keyvol('volume', 'create', volume, '--size', String(sizeBytes));
    await daemon.keyvol('volume', 'attach', volume);
    return {
      path: daemon.volumePath(volume),
      pids: daemon.pids(),
      end: () => daemon.stop(),
    };
  },
};
