/** nbdkit: a LUKS file, decrypted by its filter. */
import { join } from 'node:path';
import { stop } from '../shell.js';
import type { Exporter } from '../system.js';
import { makeLuksFile } from './qemu.js';

export const nbdkit: Exporter = {
  name: 'nbdkit luks',
  async start(place) {
    const { shell } = place.stage;
    const { image, passphrase } = await makeLuksFile(place);
    const socket = join(place.stage.directory('nbdkit'), 'socket');
    const plugin = ['file', image, `passphrase=+${passphrase}`];
    const server = ['--foreground', '--unix', socket, '--filter=luks', ...plugin];
    const daemon = await shell.listen(socket, 'nbdkit', ...server);
    return {
      uri: `nbd+unix:///?socket=${socket}`,
      pids: daemon.pid === undefined ? [] : [daemon.pid],
      end: () => stop(daemon),
    };
  },
};
