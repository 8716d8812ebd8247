/** gocryptfs: one file in an encrypted directory. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stop } from '../shell.js';
import type { System } from '../system.js';
import { newFile } from './plain.js';

export const gocryptfs: System = {
  name: 'gocryptfs',
  takesFilesystem: false,
  whyNot: () => undefined,
  async start({ stage, directory, sizeBytes }) {
    const encrypted = stage.directory('encrypted', directory);
    const mountPoint = stage.directory('gocryptfs');
    const passphrase = join(directory, 'passphrase');
    writeFileSync(passphrase, 'a-test-passphrase', { mode: 0o600 });
    const pass = ['-q', '-passfile', passphrase];
    await stage.shell.run('gocryptfs', '-init', ...pass, '-scryptn', '10', encrypted);
    const mount = ['-fg', ...pass, encrypted, mountPoint];
    const daemon = await stage.shell.serve(mountPoint, 'gocryptfs', ...mount);
    return {
      path: newFile(mountPoint, sizeBytes),
      pids: daemon.pid === undefined ? [] : [daemon.pid],
      end: async () => {
        await stage.shell.run('umount', mountPoint);
        await stop(daemon);
      },
    };
  },
};
