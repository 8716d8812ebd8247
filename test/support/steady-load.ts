/** Load that must notice nothing of a daemon that dies: slots that are fsynced, and fio --verify. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { copyHistory, newHistory, type SlotHistory } from './slots.js';
import { startScript } from './world.js';

export const slots = 512;

/** A slot-writer and what it has said. */
export class SteadyWriter {
  readonly history: SlotHistory = newHistory(slots);
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #isWanted = true;
  #lastMs = performance.now();
  #longestMs = 0;
  #countsPauses = true;
  #pending: [number, number][] = [];

  /** On a file of `slots` slots. */
  constructor(path: string) {
    this.#process = startScript('slot-writer', path, String(slots), '1');
    if (this.#process.stdout === null) throw new Error('the writer has no stdout');
    const lines = createInterface({ input: this.#process.stdout });
    lines.on('line', (line) => this.#hear(line));
    this.#ended = once(lines, 'close').then(() => {
      if (this.#isWanted) this.#longestMs = Infinity;
    });
  }

  /** The longest time that a write and its share of an fsync took; Infinity after an error. */
  get longestPauseMs(): number {
    return this.#longestMs;
  }

  /** Runs `work`, which makes programs wait: pauses count from its end on. */
  async exceptDuring(work: () => Promise<void>): Promise<void> {
    this.#countsPauses = false;
    await work();
    this.#countsPauses = true;
    this.#lastMs = performance.now();
  }

  /** What is durable for certain now, and what may be. */
  now(): SlotHistory {
    return copyHistory(this.history);
  }

  async stop(): Promise<void> {
    this.#isWanted = false;
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  #hear(line: string): void {
    const nowMs = performance.now();
    if (this.#countsPauses) this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    const [word, index, sequence] = line.split(' ');
    if (word === 'ack') {
      for (const [slot, number] of this.#pending) this.history.acked[slot] = number;
      this.#pending = [];
    } else {
      this.history.issued[Number(index)] = Number(sequence);
      this.#pending.push([Number(index), Number(sequence)]);
    }
  }
}

interface FioReport {
  readonly jobs: readonly {
    readonly error: number;
    readonly read: { readonly total_ios: number };
    readonly write: { readonly total_ios: number };
  }[];
}

/** Random writes that fio reads back and verifies as it goes, until it is stopped. */
export class VerifyingFio {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = '';

  constructor(path: string, sizeMib: number) {
    const job = ['--name=load', `--filename=${path}`, `--size=${String(sizeMib)}M`, '--direct=1'];
    const mix = ['--rw=randrw', '--bsrange=4k-64k', '--ioengine=psync'];
    const verify = [
      '--verify=crc32c',
      '--verify_state_save=0',
      '--verify_backlog=64',
      '--verify_fatal=1',
    ];
    const end = ['--time_based', '--runtime=100000', '--output-format=json'];
    this.#process = spawn('fio', [...job, ...mix, ...verify, ...end], {
      cwd: '/tmp',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    this.#process.stderr?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    this.#ended = once(this.#process, 'close');
  }

  /** Its error number, and how much it has read and written. */
  async stop(): Promise<{ error: number; operations: number; output: string }> {
    this.#process.kill('SIGINT');
    await this.#ended;
    const json = this.#output.slice(this.#output.indexOf('{'), this.#output.lastIndexOf('}') + 1);
    // What fio(1) prints with --output-format=json.
    const { jobs } = JSON.parse(json) as FioReport;
    const operations = jobs.reduce((n, job) => n + job.read.total_ios + job.write.total_ios, 0);
    const error = jobs.find((job) => job.error !== 0)?.error ?? 0;
    return { error, operations, output: this.#output };
  }
}
