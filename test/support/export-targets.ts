/** Where exports go, and a passphrase as a client of the API gives it. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { DiskExport, Luks2Export, RawExport } from '../../dist/volume/volumes.js';
import { tempDirectory, type Teardown } from './temp.js';

/** Gives `secret` to all who connect, until the end of the test; answers the socket's path. */
export async function giving(t: Teardown, secret: string | Buffer): Promise<string> {
  const path = join(tempDirectory(t), randomBytes(4).toString('hex'));
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(secret);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => server.close());
  return path;
}

export const passphrase = 'correct horse battery staple';

export function raw(file: string): RawExport {
  return { format: 'raw', file, plaintext: true };
}

/** Makes LUKS2 targets with that passphrase. */
export async function luks2(
  t: Teardown,
  secret: string | Buffer = passphrase,
): Promise<(file: string) => Luks2Export> {
  const passphraseSocket = await giving(t, secret);
  return (file) => ({ format: 'luks2', file, passphraseSocket, pbkdf: 'pbkdf2' });
}

export type Target = (file: string) => DiskExport;
