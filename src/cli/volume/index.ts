/** The verbs of `keyvol volume`. */
import type { CommandFactory } from '../declare.js';
import { volumeAttachCommand } from './attach.js';
import { volumeCheckCommand } from './check.js';
import { volumeCloneCommand } from './clone.js';
import { volumeCreateCommand } from './create.js';
import { volumeDeleteCommand } from './delete.js';
import { volumeDetachCommand } from './detach.js';
import { volumeExportCommand } from './export.js';
import { volumeExportKeyCommand } from './export-key.js';
import { volumeListCommand } from './list.js';
import { volumeMountCommand } from './mount.js';
import { volumeRenameCommand } from './rename.js';
import { volumeResizeCommand } from './resize.js';
import { volumeSetCommand } from './set.js';
import { volumeShowCommand } from './show.js';
import { volumeUnmountCommand } from './unmount.js';

export const volumeVerbs: readonly CommandFactory[] = [
  volumeCreateCommand,
  volumeCloneCommand,
  volumeListCommand,
  volumeShowCommand,
  volumeRenameCommand,
  volumeSetCommand,
  volumeAttachCommand,
  volumeDetachCommand,
  volumeMountCommand,
  volumeUnmountCommand,
  volumeResizeCommand,
  volumeDeleteCommand,
  volumeCheckCommand,
  volumeExportCommand,
  volumeExportKeyCommand,
];
