/** The verbs of `keyvol key`. */
import type { CommandFactory } from '../declare.js';
import { keyCancelDeletionCommand } from './cancel-deletion.js';
import { keyCreateCommand } from './create.js';
import { keyDisableCommand } from './disable.js';
import { keyEnableCommand } from './enable.js';
import { keyImpactCommand } from './impact.js';
import { keyListCommand } from './list.js';
import { keyRenameCommand } from './rename.js';
import { keyScheduleDeletionCommand } from './schedule-deletion.js';
import { keySetCommand } from './set.js';
import { keyShowCommand } from './show.js';

export const keyVerbs: readonly CommandFactory[] = [
  keyCreateCommand,
  keyListCommand,
  keyShowCommand,
  keyEnableCommand,
  keyDisableCommand,
  keyImpactCommand,
  keyRenameCommand,
  keySetCommand,
  keyScheduleDeletionCommand,
  keyCancelDeletionCommand,
];
