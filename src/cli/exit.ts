/** What a failure becomes: lines for stderr and an exit status, decided here and nowhere else. */
import type { CommanderError } from 'commander';
import { Fault, mappingOf } from '../fault.js';

/** The exit statuses of DESIGN §6, a tested ABI, in the words that help shows. */
export const statusMeanings = {
  0: 'done',
  1: 'internal error',
  2: 'usage error',
  3: 'not found',
  4: "refused by a key's state",
  5: 'refused by policy',
  6: 'conflict: in use, exists, wrong state, or not confirmed',
  7: 'daemon not reachable',
  8: 'input, output or integrity failure',
  9: 'no space, or a limit reached',
  130: 'interrupted',
} as const;

export type ExitStatus = keyof typeof statusMeanings;

/** How a command ended. With an empty message what there was to say has been said. */
export interface Ending {
  readonly status: number;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** A command ends as another process did: the daemon, which has said why unless `message` does. */
export class EndedWith extends Error implements Ending {
  constructor(
    readonly status: number,
    readonly hint?: string,
    message = '',
  ) {
    super(message);
  }
}

/** Turns whatever a command threw into its ending. */
export function endingOf(error: unknown): Ending {
  if (error instanceof EndedWith) return error;
  if (error instanceof Fault) return endingOfFault(error);
  if (isCommanderError(error)) return endingOfUsage(error);
  const message = error instanceof Error ? error.message : String(error);
  return { status: 1, message: `unexpected: ${message}` };
}

function endingOfFault(fault: Fault): Ending {
  return {
    status: mappingOf(fault.code).exitStatus,
    message: fault.message,
    hint: fault.hint,
  };
}

// By its name: loading commander here would cost every caller of this file.
function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && 'exitCode' in error && 'code' in error;
}

function endingOfUsage(error: CommanderError): Ending {
  if (error.exitCode === 0) return { status: 0, message: '' };
  // The help of a noun that was given no verb has been printed.
  if (error.code === 'commander.help') return { status: 2, message: '' };
  const [first = '', ...rest] = error.message.split('\n');
  const suggestion = /\((Did you mean .*)\)/.exec(rest.join(' '))?.[1];
  return {
    status: 2,
    message: first.replace(/^error: /, '').replace(/\.$/, ''),
    hint: suggestion?.replace(/^Did/, 'did') ?? 'see --help of the command',
  };
}
