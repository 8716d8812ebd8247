/** Loads the native binary, and is the only module that does. */
import { createRequire } from 'node:module';
import { Fault } from '../fault.js';
import type { Addon } from './addon.js';

export type * from './addon.js';
export type * from './content-reader.js';
export type * from './transport.js';

// The binary has no types of its own; addon.ts is written against it and tested on it.
export const addon = createRequire(import.meta.url)('../../build/Release/keyvol.node') as Addon;
addon.setFaultClass(Fault);
