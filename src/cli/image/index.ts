/** The verbs of `keyvol image`. */
import type { CommandFactory } from '../declare.js';
import { imageAttachCommand } from './attach.js';
import { imageCopyCommand } from './copy.js';
import { imageCheckCommand } from './check.js';
import { imageCreateCommand } from './create.js';
import { imageDeleteCommand } from './delete.js';
import { imageDetachCommand } from './detach.js';
import { imageExportCommand } from './export.js';
import { imageListCommand } from './list.js';
import { imageMountCommand } from './mount.js';
import { imageRenameCommand } from './rename.js';
import { imageShowCommand } from './show.js';
import { imageUnmountCommand } from './unmount.js';

export const imageVerbs: readonly CommandFactory[] = [
  imageCreateCommand,
  imageListCommand,
  imageShowCommand,
  imageRenameCommand,
  imageAttachCommand,
  imageDetachCommand,
  imageMountCommand,
  imageUnmountCommand,
  imageDeleteCommand,
  imageCopyCommand,
  imageCheckCommand,
  imageExportCommand,
];
