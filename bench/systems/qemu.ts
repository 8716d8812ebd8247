/** QEMU's storage daemon: a LUKS file, decrypted over FUSE. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stop, type Shell } from '../shell.js';
import type { Place, System } from '../system.js';

const cipher = 'cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64';

export interface LuksFile {
  readonly image: string;
  /** The file that holds its passphrase. */
  readonly passphrase: string;
  /** What tells a QEMU program of the passphrase, as the secret `s`. */
  readonly object: readonly string[];
}

export const qemu: System = {
  name: 'QEMU LUKS',
  takesFilesystem: true,
  whyNot: () => undefined,
  async start(place) {
    const { stage } = place;
    const { image, object } = await makeLuksFile(place);
    const exported = join(stage.directory('qemu'), 'disk');
    closeSync(openSync(exported, 'w'));
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

/** A LUKS1 file of QEMU's, which nbdkit reads as well. */
export async function makeLuksFile({ stage, directory, sizeBytes }: Place): Promise<LuksFile> {
  const image = join(directory, 'disk.luks');
  const passphrase = join(directory, 'passphrase');
  writeFileSync(passphrase, 'a-test-passphrase', { mode: 0o600 });
  const object = ['--object', `secret,id=s,file=${passphrase}`];
  // How long a guess of the passphrase takes. Short, for nbdkit makes one for each connection,
  // which is not what is measured.
  const format = `key-secret=s,${cipher},iter-time=20`;
  const create = [...object, '-f', 'luks', '-o', format, image, String(sizeBytes)];
  await createImage(stage.shell, create);
  return { image, passphrase, object };
}

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
