#!/usr/bin/env node
/** keyvold. Hardens the process before anything else is loaded. */
import { addon } from '../device/index.js';

ignoreNodeOptions();
addon.hardenProcess();
// Without a listener Node answers this signal by opening its inspector to every local user.
process.on('SIGUSR1', () => undefined);
// A report holds the environment, and lands in the current directory.
process.report.reportOnFatalError = false;
process.report.reportOnSignal = false;
process.report.reportOnUncaughtException = false;

const { run } = await import('./run.js');
await run(process.argv.slice(2));

/** Node has obeyed NODE_OPTIONS already: all that helps is to begin again without it. */
function ignoreNodeOptions(): void {
  const { NODE_OPTIONS: nodeOptions, ...environment } = process.env;
  if (nodeOptions === undefined) return;
  addon.replaceProcess(
    process.execPath,
    [process.execPath, ...process.argv.slice(1)],
    Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`),
  );
}
