/** What the words of a command line mean, before it is run. */
import type { Command, Option } from 'commander';

/** Where the last of some words stands in the tree of commands. */
export interface Place {
  readonly command: Command;
  /** How many arguments of the command have been given. */
  readonly operands: number;
  /** An option that waits for its value. */
  readonly pending: Option | undefined;
}

/** Follows the words of a command line as far as they name commands. */
export function placeAfter(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, operands: 0, pending: undefined };
  for (const word of words) place = step(place, word, program);
  return place;
}

function step({ command, operands, pending }: Place, word: string, program: Command): Place {
  if (pending !== undefined) return { command, operands, pending: undefined };
  if (word.startsWith('-')) {
    const option = [...command.options, ...program.options].find(
      ({ short, long }) => short === word || long === word,
    );
    return { command, operands, pending: option?.required ? option : undefined };
  }
  const child = command.commands.find(
    (known) => known.name() === word || known.aliases().includes(word),
  );
  if (child !== undefined) return { command: child, operands: 0, pending: undefined };
  return { command, operands: operands + 1, pending: undefined };
}

/** Whether the words go on after a noun with something that is none of its verbs. */
export function namesNoCommand(program: Command, words: readonly string[]): boolean {
  const { command, operands } = placeAfter(program, words);
  return command.commands.length > 0 && operands > 0;
}
