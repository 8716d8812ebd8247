/** What may follow on a command line: found in the commander tree, names asked of the daemon. */
import { Command, type Argument, type Option } from 'commander';
import type { DaemonClient } from '../api/types.js';
import type { CliContext } from './context.js';
import { placeAfter } from './place.js';
import { titleOf } from './views.js';

const namesOf: Record<string, (daemon: DaemonClient) => Promise<readonly string[]>> = {
  key: async (daemon) => (await daemon.listKeys()).map(({ name }) => name),
  volume: async (daemon) => (await daemon.listVolumes()).map(titleOf),
  image: async (daemon) => (await daemon.listImages()).map(titleOf),
  snapshot: async (daemon) => (await daemon.listSnapshots()).map(titleOf),
};

/** Hidden; the last word is the one being typed. Prints the candidates that begin with it. */
export function completeCommand(cli: CliContext): Command {
  return new Command('__complete')
    .description('what may follow, one candidate a line')
    .argument('[words...]')
    .action(async (words: string[], _options, self: Command) => {
      // The noun that the words name is loaded, for it stands on this command line too.
      const program = self.parent ?? self;
      const typed = words.at(-1) ?? '';
      const candidates = await candidatesAfter(program, words.slice(0, -1), typed, cli);
      const matching = candidates.filter((candidate) => candidate.startsWith(typed));
      cli.print(matching, (all) => all.join('\n'));
    });
}

async function candidatesAfter(
  program: Command,
  before: readonly string[],
  typed: string,
  cli: CliContext,
): Promise<readonly string[]> {
  const { command, operands, pending } = placeAfter(program, before);
  if (pending !== undefined) return valuesOf(pending.argChoices, placeholderOf(pending), cli);
  if (typed.startsWith('-')) return optionsOf(command, program);
  if (command.commands.length > 0) return verbsOf(command);
  const argument: Argument | undefined = command.registeredArguments[operands];
  return argument === undefined ? [] : valuesOf(argument.argChoices, argument.name(), cli);
}

function verbsOf(command: Command): string[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((child) => child.name());
}

function optionsOf(command: Command, program: Command): string[] {
  const options = command === program ? program.options : [...command.options, ...program.options];
  return options.filter((option) => !option.hidden).flatMap((option) => option.long ?? []);
}

/** "key" of "--key <key>". */
function placeholderOf(option: Option): string {
  return /<(.+)>/.exec(option.flags)?.[1] ?? '';
}

async function valuesOf(
  choices: readonly string[] | undefined,
  placeholder: string,
  cli: CliContext,
): Promise<readonly string[]> {
  if (choices !== undefined) return choices;
  const list = namesOf[placeholder];
  if (list === undefined) return [];
  return list(await cli.connect());
}
