/** The verbs of `keyvol daemon`. */
import type { CommandFactory } from '../declare.js';
import { daemonLogsCommand } from './logs.js';
import { daemonRestartCommand } from './restart.js';
import { daemonStartCommand } from './start.js';
import { daemonStatusCommand } from './status.js';
import { daemonStopCommand } from './stop.js';

export const daemonVerbs: readonly CommandFactory[] = [
  daemonStartCommand,
  daemonStopCommand,
  daemonRestartCommand,
  daemonStatusCommand,
  daemonLogsCommand,
];
