#!/usr/bin/env -S -u NODE_OPTIONS UV_THREADPOOL_SIZE=16 node --inspect-port=192.0.2.1:9229
/** keyvold. Hardens the process before anything else is loaded. */
import { addon } from '../device/index.js';

beginAgainAsMeant();
addon.hardenProcess();
addon.keepAliveUnderPressure();
// Without a listener Node answers this signal by opening its inspector to every local user.
process.on('SIGUSR1', () => undefined);
// A report holds the environment, and lands in the current directory.
process.report.reportOnFatalError = false;
process.report.reportOnSignal = false;
process.report.reportOnUncaughtException = false;

const { run } = await import('./run.js');
await run(process.argv.slice(2));

/**
 * Some things are settled before the first line of a program runs: that Node obeys NODE_OPTIONS,
 * how many threads its pool has, and where its inspector would listen. All that helps is to begin
 * again, as the same process. Who runs this file as a program need not: its first line says the
 * same, and programs that wait for a daemon that was killed wait less.
 */
function beginAgainAsMeant(): void {
  // Filesystems are synced and unmounted on these threads: many disks of one key at the same time.
  const poolThreads = '16';
  // No host has this address (RFC 5737), so a SIGUSR1 that comes before our listener opens nothing.
  const noInspector = '--inspect-port=192.0.2.1:9229';
  const { NODE_OPTIONS: nodeOptions, ...inherited } = process.env;
  const { execPath, execArgv, argv } = process;
  const isAsMeant =
    nodeOptions === undefined &&
    inherited.UV_THREADPOOL_SIZE === poolThreads &&
    execArgv.includes(noInspector);
  if (isAsMeant) return;
  const environment: NodeJS.ProcessEnv = { ...inherited, UV_THREADPOOL_SIZE: poolThreads };
  addon.replaceProcess(
    execPath,
    // The last one given counts.
    [execPath, ...execArgv, noInspector, ...argv.slice(1)],
    Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`),
  );
}
