/** A program that reads one file all the time, and tells when it last could. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Test } from 'tap';
import { startScript } from './world.js';

export interface ReaderReport {
  readonly lastSuccessMs: number;
  readonly failuresSince: number;
}

export class ReportingReader {
  readonly #process: ChildProcess;
  readonly #lines: Interface;

  constructor(t: Test, path: string) {
    this.#process = startScript('reader', path);
    t.teardown(() => this.stop());
    if (this.#process.stdout === null) throw new Error('the reader has no stdout');
    this.#lines = createInterface({ input: this.#process.stdout });
  }

  async report(): Promise<ReaderReport> {
    this.#process.stdin?.write('\n');
    const [line] = (await once(this.#lines, 'line')) as [string];
    return JSON.parse(line) as ReaderReport;
  }

  stop(): void {
    this.#process.kill('SIGKILL');
  }
}
