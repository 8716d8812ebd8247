/** How a command is declared: what it does, an example, and the exit statuses it can end with. */
import { Command, Option } from 'commander';
import type { AttachOptions } from '../api/types.js';
import { Fault } from '../fault.js';
import type { CliContext } from './context.js';
import { statusMeanings, type ExitStatus } from './exit.js';

/** Makes one command; each lives in a file of its own. */
export type CommandFactory = (cli: CliContext) => Command;

export interface Declaration {
  readonly description: string;
  /** Lines to type, the first is the most usual. */
  readonly example: string;
  /** Those beyond 0, 1, 2 and, unless `local`, 7. */
  readonly statuses?: readonly ExitStatus[];
  readonly aliases?: readonly string[];
  /** Needs no daemon. */
  readonly local?: boolean;
}

/** A command whose help ends with its example and its exit statuses. */
export function declare(name: string, declaration: Declaration): Command {
  const { description, example, statuses = [], aliases = [], local = false } = declaration;
  const all: ExitStatus[] = [0, 1, 2, ...(local ? [] : [7 as const]), ...statuses];
  return new Command(name)
    .description(description)
    .aliases(aliases)
    .addHelpText('after', helpEnd(example, all));
}

/** The end of every help text. */
export function helpEnd(example: string, statuses: readonly ExitStatus[]): string {
  const examples = example.split('\n').map((line) => `  ${line}`);
  const meanings = [...new Set(statuses)]
    .sort((a, b) => a - b)
    .map((status) => `  ${String(status).padEnd(5)}${statusMeanings[status]}`);
  return ['', 'Example:', ...examples, '', 'Exit statuses:', ...meanings].join('\n');
}

/** Shared by the commands that ask before they go on. */
export function yesOption(): Option {
  return new Option('-y, --yes', 'do not ask');
}

/** What becomes of attached disks whose key is lost. */
export function onKeyLossOption(): Option {
  return new Option(
    '--on-key-loss <policy>',
    'without its key an attached volume refuses I/O, goes on until it is detached, or makes I/O ' +
      'wait: programs on a mounted one cannot be ended until the key is back',
  ).choices(['deny', 'until-detach', 'suspend']);
}

/** Of a file that a disk is made from. */
export function formatOption(): Option {
  return new Option(
    '--format <format>',
    'format of the file (default: what its name ends in, else raw; never guessed from its content)',
  ).choices(['raw', 'qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi']);
}

export interface ShowOptions {
  readonly cache?: 'direct' | 'kernel';
  readonly nbd?: true;
}

/** As the API takes them. */
export function shownAs({ cache, nbd }: ShowOptions): AttachOptions {
  return { ...(cache ? { cache } : {}), ...(nbd ? { transport: 'nbd' } : {}) };
}

export function nbdOption(): Option {
  return new Option('--nbd', 'as an NBD export, whose URI is printed, instead of a file');
}

export function cacheOption(): Option {
  return new Option(
    '--cache <where>',
    'let every read reach keyvol, or let the kernel keep what was read until the key is lost or ' +
      'the disk detached',
  ).choices(['direct', 'kernel']);
}

/** Asks for a plain disk, as other systems allow: hidden, there to be refused with a reason. */
export function encryptionOption(): Option {
  return new Option('--no-encryption').hideHelp();
}

/** Throws PLAIN_DISK_REFUSED when `--no-encryption` was given. */
export function refusePlain(options: { encryption: boolean }): void {
  if (options.encryption) return;
  throw new Fault('PLAIN_DISK_REFUSED', 'every disk of keyvol is encrypted', {
    hint: 'leave --no-encryption out; without --key a default key is used',
  });
}
