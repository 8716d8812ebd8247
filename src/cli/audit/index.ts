/** The verbs of `keyvol audit`. */
import type { CommandFactory } from '../declare.js';
import { auditListCommand } from './list.js';

export const auditVerbs: readonly CommandFactory[] = [auditListCommand];
