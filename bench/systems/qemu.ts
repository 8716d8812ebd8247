/** QEMU's storage daemon: a LUKS file, decrypted over FUSE. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stop, type Shell } from '../shell.js';
import type { System } from '../system.js';

const cipher = 'cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64';

export const qemu: System = {
  name: 'QEMU LUKS',
  takesFilesystem: true,
  whyNot: () => undefined,
  async start({ stage, directory, sizeBytes, smoke }) {
    const image = join(directory, 'disk.luks');
    const secret = join(directory, 'passphrase');
    const exported = join(stage.directory('qemu'), 'disk');
    writeFileSync(secret, 'a-test-passphrase', { mode: 0o600 });
    closeSync(openSync(exported, 'w'));
    const object = ['--object', `secret,id=s,file=${secret}`];
    // How long a guess of the passphrase takes; no matter for speed afterwards.
    const format = `key-secret=s,${cipher},iter-time=${smoke ? 20 : 2000}`;
    const create = [...object, '-f', 'luks', '-o', format, image, String(sizeBytes)];
    await createImage(stage.shell, create);
    const daemon = await stage.shell.serve(
      exported,
      'qemu-storage-daemon',
      ...object,
      ...['--blockdev', `driver=file,node-name=file,filename=${image}`],
      ...['--blockdev', 'driver=luks,node-name=luks,file=file,key-secret=s'],
      ...['--export', `type=fuse,id=e,node-name=luks,mountpoint=${exported},writable=on`],
    );
    return {
      path: exported,
      pids: daemon.pid === undefined ? [] : [daemon.pid],
      end: () => stop(daemon),
    };
  },
};

/**
 * QEMU 7.2 measures how fast the processor hashes, and gives up when the kernel's accounting shows
 * no time for it, which happens on a busy machine.
 */
async function createImage(shell: Shell, args: readonly string[], tries = 10): Promise<void> {
  try {
    await shell.run('qemu-img', 'create', ...args);
  } catch (error) {
    if (tries === 1 || !String(error).includes('accurate CPU usage')) throw error;
    await createImage(shell, args, tries - 1);
  }
}
