/** fallocate(2), which Node lacks, from one process for many calls: util-linux starts one a call. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const program = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for line in sys.stdin:
    mode, offset, length, path = line.rstrip('\\n').split(' ', 3)
    fd = os.open(path, os.O_RDWR)
    failed = libc.fallocate(fd, int(mode), ctypes.c_long(int(offset)), ctypes.c_long(int(length)))
    os.close(fd)
    print(os.strerror(ctypes.get_errno()) if failed else 'ok', flush=True)
`;

const keepSize = 1;
const modes = { 'punch-hole': 2 | keepSize, 'zero-range': 16 | keepSize } as const;

export class Fallocate {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: Interface;

  constructor() {
    this.#child = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout });
  }

  /** One call at a time. Throws what errno says. */
  async run(
    mode: keyof typeof modes,
    path: string,
    offsetBytes: number,
    lengthBytes: number,
  ): Promise<void> {
    const answered = once(this.#answers, 'line');
    this.#child.stdin.write(`${modes[mode]} ${offsetBytes} ${lengthBytes} ${path}\n`);
    const [answer] = (await answered) as [string];
    if (answer !== 'ok') throw new Error(`fallocate ${mode} of ${path}: ${answer}`);
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }
}
