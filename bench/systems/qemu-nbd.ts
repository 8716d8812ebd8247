/** qemu-nbd: a LUKS file, decrypted by QEMU's block layer. */
import { join } from 'node:path';
import { stop } from '../shell.js';
import type { Exporter } from '../system.js';
import { makeLuksFile } from './qemu.js';

export const qemuNbd: Exporter = {
  name: 'qemu-nbd',
  async start(place) {
    const { shell } = place.stage;
    const { image, object } = await makeLuksFile(place);
    const socket = join(place.stage.directory('qemu-nbd'), 'socket');
    const disk = `driver=luks,key-secret=s,file.driver=file,file.filename=${image}`;
    // As many connections at a time as nbdcopy may want.
    const server = ['--persistent', '--shared=16', `--socket=${socket}`, ...object];
    const daemon = await shell.listen(socket, 'qemu-nbd', ...server, '--image-opts', disk);
    return {
      uri: `nbd+unix:///?socket=${socket}`,
      pids: daemon.pid === undefined ? [] : [daemon.pid],
      end: () => stop(daemon),
    };
  },
};
