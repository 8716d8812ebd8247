/** The verbs of `keyvol snapshot`. */
import type { CommandFactory } from '../declare.js';
import { snapshotCreateCommand } from './create.js';
import { snapshotDeleteCommand } from './delete.js';
import { snapshotListCommand } from './list.js';
import { snapshotRollbackCommand } from './rollback.js';
import { snapshotShowCommand } from './show.js';

export const snapshotVerbs: readonly CommandFactory[] = [
  snapshotCreateCommand,
  snapshotListCommand,
  snapshotShowCommand,
  snapshotRollbackCommand,
  snapshotDeleteCommand,
];
