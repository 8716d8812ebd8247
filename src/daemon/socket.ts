/** The place of the API's socket: free of what a dead daemon left there. */
import { lstatSync, rmSync, type Stats } from 'node:fs';
import { connect } from 'node:net';
import { Fault } from '../fault.js';

/**
 * Removes the socket of a daemon that is dead. Call with the runtime directory locked. Throws
 * DAEMON_RUNNING when somebody answers, FILE_EXISTS when it is no socket.
 */
export async function removeStaleSocket(socketPath: string): Promise<void> {
  const stat: Stats | undefined = lstatSync(socketPath, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new Fault('FILE_EXISTS', `${socketPath} is not a socket`);
  if (await answers(socketPath)) {
    throw new Fault('DAEMON_RUNNING', `another process listens on ${socketPath}`);
  }
  rmSync(socketPath);
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
