/** Plays the service manager of sd_notify(3): what a daemon tells it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Teardown } from './temp.js';

// Node has no Unix datagram sockets.
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name.startswith('@') else name)
print('listening', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', '|'), flush=True)
`;

export interface NotifySocket {
  /** What arrived so far, one message each, with | for a line break. */
  messages(): string[];
}

/** Listens on `name`, a path or, with a leading @, an abstract socket. */
export async function listenForNotify(t: Teardown, name: string): Promise<NotifySocket> {
  const child = spawn('/usr/bin/python3', ['-c', listener, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  while (!text.includes('listening\n')) await once(child.stdout, 'data');
  return { messages: () => text.split('\n').slice(1, -1) };
}
