/** How the daemon gets a secret from a command: over a socket of its own, and not as a request. */
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Fault } from '../fault.js';

/**
 * While `work` runs, gives `secret` to the one who connects to a socket in `directory`, where only
 * the user of the daemon can. Throws DAEMON_UNREACHABLE when there is no such directory.
 */
export async function offering<Result>(
  secret: Buffer,
  directory: string,
  work: (socketPath: string) => Promise<Result>,
): Promise<Result> {
  // Not longer than the name of the API's socket by much, for the path of a socket is limited.
  const path = join(directory, `s-${randomBytes(4).toString('hex')}`);
  const server = createServer((socket) => {
    // Now, for a command that is killed later could not.
    server.close();
    // Who goes away before it has read everything will say so itself.
    socket.on('error', () => undefined);
    socket.end(secret);
  });
  await listen(server, path);
  try {
    return await work(path);
  } finally {
    server.close();
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `cannot listen on ${path} (${cause.code ?? 'unknown'})`;
      reject(new Fault('DAEMON_UNREACHABLE', message, { cause, hint: 'keyvol daemon start' }));
    });
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve();
    });
  });
}
