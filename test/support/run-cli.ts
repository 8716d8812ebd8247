/** Runs `keyvol` as a user does: the built program, in a process of its own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const cliMain = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly runtimeDir?: string;
  readonly stateDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs one command line to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return collect(spawnCli(args, options));
}

/** As runCli, for tests that signal it or read it as it runs. */
export function spawnCli(args: readonly string[], options: CliOptions = {}) {
  return spawn(process.execPath, [cliMain, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cliEnvironment(options),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

/** Runs it on a terminal of its own, types `input`, and answers what the terminal showed. */
export async function runOnTerminal(
  args: readonly string[],
  input: string,
  options: CliOptions = {},
): Promise<{ status: number | null; shown: string }> {
  const command = [process.execPath, cliMain, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: cliEnvironment(options),
  });
  let typed = false;
  child.stdout.on('data', (chunk: Buffer) => {
    // What is typed before the question is asked could be thrown away.
    if (typed || !/[?:] (\[y\/N\] )?/.test(chunk.toString())) return;
    typed = true;
    child.stdin.write(input);
  });
  const { status, stdout } = await collect(child);
  child.stdin.destroy();
  return { status, shown: stdout.replaceAll('\r\n', '\n') };
}

function cliEnvironment({ runtimeDir, stateDir, env }: CliOptions): NodeJS.ProcessEnv {
  // What a runner's surroundings say of colours must not decide what the tests see.
  const { NO_COLOR: _, CI: __, ...inherited } = process.env;
  return {
    ...inherited,
    TERM: 'xterm-256color',
    TZ: 'UTC',
    KEYVOL_RUNTIME_DIR: runtimeDir ?? '/nonexistent/keyvol-test',
    KEYVOL_STATE_DIR: stateDir ?? '/nonexistent/keyvol-test-state',
    ...env,
  };
}

/** What a process printed, once it has ended. */
export function collect(child: {
  stdout: NodeJS.ReadableStream;
  stderr: NodeJS.ReadableStream;
  once(event: 'close', listener: (code: number | null) => void): unknown;
}): Promise<CliResult> {
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (output.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (output.stderr += String(chunk)));
  return new Promise((resolve) =>
    child.once('close', (status) => {
      resolve({ status, ...output });
    }),
  );
}
