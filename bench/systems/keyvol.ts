/** keyvol: an attached volume, as a file and over NBD. */
import { KeyvolDaemon } from '../keyvol-daemon.js';
import type { Exporter, Place, System } from '../system.js';

const volume = 'v';
const name = 'keyvol';

export const keyvol: System = {
  name,
  takesFilesystem: true,
  whyNot: () => undefined,
  async start(place) {
    const daemon = await startWithVolume(place);
    await daemon.keyvol('volume', 'attach', volume);
    return {
      path: daemon.volumePath(volume),
      pids: daemon.pids(),
      end: () => daemon.stop(),
    };
  },
};

export const keyvolNbd: Exporter = {
  name,
  async start(place) {
    const daemon = await startWithVolume(place);
    const text = await daemon.keyvol('volume', 'attach', volume, '--nbd', '--json');
    // The CLI's view of a volume that is attached so.
    const { attachment } = JSON.parse(text) as { attachment: { uri: string } };
    return { uri: attachment.uri, pids: daemon.pids(), end: () => daemon.stop() };
  },
};

async function startWithVolume({ stage, directory, sizeBytes }: Place): Promise<KeyvolDaemon> {
  const daemon = await KeyvolDaemon.start(stage, directory);
  await daemon.keyvol('volume', 'create', volume, '--size', String(sizeBytes));
  return daemon;
}
