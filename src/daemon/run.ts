/** The life of the daemon's process: its output, its signals, its end. */
import { createRequire } from 'node:module';
import { addon } from '../device/index.js';
import { Fault, mappingOf } from '../fault.js';
import { createLog, type Log } from '../log.js';
import { parseCommandLine, usage, type DaemonConfig } from './config.js';
import type { Ending } from './closing.js';
import { startDaemon, type RunningDaemon } from './daemon.js';
import { ServiceManager } from './service-manager.js';

// The promise is 10 s; a step that hangs must not keep the process any longer.
const shutdownDeadlineMs = 9_500;

// package.json is part of every installation, and has a version.
const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** Runs until a signal or a client ends the daemon. */
export async function run(args: readonly string[]): Promise<void> {
  const log = createLog();
  dieOnSurprise(log);
  try {
    const command = parseCommandLine(args);
    if (command === 'help') process.stdout.write(usage);
    else if (command === 'version') process.stdout.write(`keyvold ${version}\n`);
    else await serve(command, log);
  } catch (error) {
    process.exit(reportFailure(error, log));
  }
}

async function serve(config: DaemonConfig, log: Log): Promise<void> {
  const stop = stopRequest();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.ask(signal));
  const daemon = await startDaemon(config, {
    log,
    version,
    warn: (text) => {
      log.warn(text);
      process.stderr.write(`keyvold: warning: ${text}\n`);
    },
    onShutdownRequest: (ending) => stop.ask(ending === 'close' ? 'a client' : 'a restart', ending),
  });
  const ready = `keyvold ready: ${daemon.socketPath}`;
  log.info({ pid: process.pid, version }, ready);
  process.stdout.write(`${ready}\n`);
  const serviceManager = new ServiceManager(addon, log);
  serviceManager.tellReady(() => daemon.notAlive());
  const { who, ending } = await stop.asked;
  log.info(`stopping, asked by ${who}`);
  serviceManager.tellStopping();
  await endInTime(daemon, ending, log);
}

async function endInTime(daemon: RunningDaemon, ending: Ending, log: Log): Promise<never> {
  setTimeout(() => {
    log.fatal('the shutdown took too long');
    process.exit(1);
  }, shutdownDeadlineMs);
  await daemon.end(ending);
  log.info('stopped');
  process.exit(0);
}

interface StopRequest {
  readonly who: string;
  readonly ending: Ending;
}

/** Being asked once stops the daemon in order, twice at once. */
function stopRequest(): {
  asked: Promise<StopRequest>;
  ask: (who: string, ending?: Ending) => void;
} {
  let resolve: ((request: StopRequest) => void) | undefined;
  const asked = new Promise<StopRequest>((resolveAsked) => (resolve = resolveAsked));
  const ask = (who: string, ending: Ending = 'close') => {
    if (resolve === undefined) process.exit(1);
    resolve({ who, ending });
    resolve = undefined;
  };
  return { asked, ask };
}

/** A process in an unknown state must not go on writing to disks. */
function dieOnSurprise(log: Log): void {
  const die = (error: unknown) => {
    log.fatal({ err: error }, 'unexpected error');
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}

function reportFailure(error: unknown, log: Log): number {
  if (!(error instanceof Fault)) {
    log.fatal({ err: error }, 'the daemon failed');
    process.stderr.write('keyvold: error: internal error\n');
    return 1;
  }
  process.stderr.write(`keyvold: error: ${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  return mappingOf(error.code).exitStatus;
}
