/** Runs the steps of the quickstart: shows what is typed, what it answers and how long it took. */
import { spawn, type ChildProcess } from 'node:child_process';

export interface Outcome {
  readonly status: number;
  readonly output: string;
}

interface Timing {
  readonly title: string;
  readonly seconds: number;
}

/** A command that did not do what the story says. */
export class StepFailed extends Error {}

export interface StepOptions {
  /** What a person would type, when it is not the arguments as they are. */
  readonly shown?: string;
  /** The exit status that the story needs; 0 unless told. */
  readonly status?: number;
}

export class Steps {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #timings: Timing[] = [];
  #running: ChildProcess | undefined;
  #stopped = false;

  /** `environment` is added to that of every command. */
  constructor(environment: Record<string, string>) {
    this.#environment = { ...process.env, ...environment };
  }

  /** Runs keyvol with `args` as one step of the story. */
  async keyvol(title: string, args: readonly string[], options: StepOptions = {}): Promise<string> {
    return this.#step(
      title,
      ['keyvol', ...args],
      [process.execPath, 'dist/cli/main.js', ...args],
      options,
    );
  }

  /** Runs another program as one step of the story. */
  async program(
    title: string,
    command: readonly string[],
    options: StepOptions = {},
  ): Promise<string> {
    return this.#step(title, command, command, options);
  }

  /** Runs keyvol outside the story, whatever comes of it: for cleaning up. */
  async quietly(args: readonly string[]): Promise<Outcome> {
    return this.#run([process.execPath, 'dist/cli/main.js', ...args]);
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** No further step starts; the running command is asked to end. */
  stop(): void {
    this.#stopped = true;
    this.#running?.kill('SIGINT');
  }

  printSummary(): void {
    const width = Math.max(...this.#timings.map(({ title }) => title.length));
    console.log('\nSummary');
    for (const { title, seconds } of this.#timings) {
      console.log(`  ${title.padEnd(width)}  ${seconds.toFixed(2).padStart(7)} s`);
    }
  }

  async #step(
    title: string,
    typed: readonly string[],
    command: readonly string[],
    { shown = typed.map(quoted).join(' '), status = 0 }: StepOptions,
  ): Promise<string> {
    if (this.#stopped) throw new StepFailed('interrupted');
    console.log(`\n${this.#timings.length + 1}. ${title}\n   $ ${shown}`);
    const startMs = performance.now();
    const outcome = await this.#run(command);
    const seconds = (performance.now() - startMs) / 1000;
    this.#timings.push({ title, seconds });
    if (outcome.output !== '') console.log(outcome.output.replaceAll(/^/gm, '     '));
    const ending = this.stopped ? 'interrupted' : outcome.status === status ? 'done' : 'FAILED';
    console.log(`   ${ending} in ${seconds.toFixed(2)} s`);
    if (this.stopped) throw new StepFailed('interrupted');
    if (outcome.status !== status) {
      throw new StepFailed(`expected exit status ${status}, got ${outcome.status}: ${shown}`);
    }
    return outcome.output;
  }

  async #run([program = '', ...args]: readonly string[]): Promise<Outcome> {
    const child = spawn(program, args, {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running = child;
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const status = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      // Not "close": a daemon that a command started could hold the pipes open.
      child.once('exit', (code) => setImmediate(() => resolve(code ?? 130)));
    });
    this.#running = undefined;
    return { status, output: Buffer.concat(chunks).toString('utf8').trimEnd() };
  }
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
