/** What a command is given: a way to the daemon, a way to print, and the person, if there is one. */
import path from 'node:path';
import type { Command } from 'commander';
import type { Directories } from '../api/directories.js';
import type { DaemonClient, Progress } from '../api/types.js';
import { Fault } from '../fault.js';
import { json } from './print.js';
import { ask, isInteractive, note } from './terminal.js';

/** A call that may take long: told of its progress, and stopped by its signal. */
export type LongCall<Result> = (
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
) => Promise<Result>;

interface GlobalOptions {
  json?: true;
  stateDir?: string;
  runtimeDir?: string;
}

export class CliContext {
  readonly #program: Command;
  readonly #interrupt = new AbortController();
  #cleansUp = false;

  constructor(program: Command) {
    this.#program = program;
  }

  get json(): boolean {
    return this.#options().json ?? false;
  }

  /** Answers a client of the daemon of the directories asked for. Does not connect yet. */
  async connect(): Promise<DaemonClient> {
    const { createClient } = await import('../api/client.js');
    const { socketPath } = await this.directories();
    return createClient(socketPath);
  }

  async directories(): Promise<Directories> {
    const { readConfigFile, resolveDirectories } = await import('../api/directories.js');
    const { stateDir, runtimeDir } = this.#options();
    return resolveDirectories({ stateDir, runtimeDir }, readConfigFile());
  }

  /** The result: the view as JSON with --json, else as `render` shows it. */
  print<View>(view: View, render: (view: View) => string): void {
    const text = this.json ? json(view) : render(view);
    if (text !== '') process.stdout.write(`${text}\n`);
  }

  /** For people only: nothing with --json, unless a person watches. */
  tell(text: string): void {
    if (!this.json || process.stderr.isTTY) note(text);
  }

  /** What must not go unsaid, with --json too. */
  warn(text: string): void {
    note(`warning: ${text}`);
  }

  /** Throws CONFIRMATION_REQUIRED when the person says no. Asks on a terminal only. */
  async confirm(question: string, options: { yes?: true }): Promise<void> {
    if (options.yes || !isInteractive()) return;
    const answer = await ask(`keyvol: ${question} [y/N] `, this.#waitForInterrupt());
    if (!/^y(es)?$/i.test(answer)) throw new Fault('CONFIRMATION_REQUIRED', 'not confirmed');
  }

  /** The line a person types, or undefined where there is nobody to ask. */
  async askFor(question: string): Promise<string | undefined> {
    if (!isInteractive()) return undefined;
    return ask(`keyvol: ${question} `, this.#waitForInterrupt());
  }

  /** Runs a long call with a progress bar when stderr is a terminal; Ctrl-C stops it cleanly. */
  async longCall<Result>(label: string, call: LongCall<Result>): Promise<Result> {
    const signal = this.#waitForInterrupt();
    if (!process.stderr.isTTY) return call(undefined, signal);
    const { ProgressBar } = await import('./progress.js');
    const bar = new ProgressBar(label);
    try {
      return await call((progress) => bar.show(progress), signal);
    } finally {
      bar.stop();
    }
  }

  /** Answers true if a call will end by itself, having cleaned up. */
  interrupt(): boolean {
    const first = !this.#interrupt.signal.aborted;
    this.#interrupt.abort();
    return first && this.#cleansUp;
  }

  /** Whether the person pressed Ctrl-C. */
  get interrupted(): boolean {
    return this.#interrupt.signal.aborted;
  }

  #waitForInterrupt(): AbortSignal {
    this.#cleansUp = true;
    return this.#interrupt.signal;
  }

  #options(): GlobalOptions {
    return this.#program.opts<GlobalOptions>();
  }
}

/** The daemon has another working directory: what the person means is relative to theirs. */
export function absolute(file: string): string {
  return path.resolve(file);
}
