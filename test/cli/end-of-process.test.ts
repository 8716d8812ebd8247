// A stop that has returned leaves nothing open. A process is gone when its last thread is: the first
// may be a zombie while others wait for a disk, with all files still open.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { waitForEnd } from '../../dist/cli/daemon/process.js';

/** Its first thread exits at once, by the system call; another lives on. */
const program = `
import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(2)).start()
ctypes.CDLL(None).syscall(60, 0)
`;

async function untilZombie(pid: number): Promise<void> {
  while (!readFileSync(`/proc/${String(pid)}/stat`, 'latin1').includes(') Z ')) await sleep(20);
}

t.test('a zombie with a living thread has not ended', async (t) => {
  const { pid = 0 } = spawn('/usr/bin/python3', ['-c', program], { stdio: 'ignore' });
  await untilZombie(pid);
  t.equal(await waitForEnd(pid, 300), false);
  t.equal(await waitForEnd(pid, 10_000), true);
});
