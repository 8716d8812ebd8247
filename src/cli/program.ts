/** Builds the program from its nouns, loading only those that the command line names. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { completeCommand } from './complete.js';
import { completionCommand } from './completion.js';
import { CliContext } from './context.js';
import { helpEnd, type CommandFactory } from './declare.js';
import { namesNoCommand } from './place.js';
import { statusCommand } from './status.js';

interface Noun {
  readonly name: string;
  readonly description: string;
  readonly example: string;
  readonly verbs: () => Promise<readonly CommandFactory[]>;
}

const nouns: readonly Noun[] = [
  {
    name: 'key',
    description: 'master keys: whoever controls them controls the data',
    example: 'keyvol key create app-db',
    verbs: async () => (await import('./key/index.js')).keyVerbs,
  },
  {
    name: 'volume',
    description: 'encrypted writable disks',
    example: 'keyvol volume create db --size 10G --key app-db',
    verbs: async () => (await import('./volume/index.js')).volumeVerbs,
  },
  {
    name: 'snapshot',
    description: 'read-only points in the life of a volume',
    example: 'keyvol snapshot create db@monday',
    verbs: async () => (await import('./snapshot/index.js')).snapshotVerbs,
  },
  {
    name: 'image',
    description: 'encrypted read-only disks to make volumes from',
    example: 'keyvol image create debian --file debian-12.raw',
    verbs: async () => (await import('./image/index.js')).imageVerbs,
  },
  {
    name: 'audit',
    description: 'the record of what was done, allowed or refused',
    example: 'keyvol audit list',
    verbs: async () => (await import('./audit/index.js')).auditVerbs,
  },
  {
    name: 'daemon',
    description: 'start, stop and watch keyvold',
    example: 'keyvol daemon start',
    verbs: async () => (await import('./daemon/index.js')).daemonVerbs,
  },
];

const singles: readonly CommandFactory[] = [statusCommand, completionCommand];

const everything = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130] as const;

/** Parses and runs one command line. Throws whatever the command threw. */
export async function run(argv: readonly string[]): Promise<void> {
  const { program, cli } = await buildProgram(new Set(argv));
  process.on('SIGINT', () => {
    if (!cli.interrupt()) interrupted();
  });
  try {
    await program.parseAsync(wordsToParse(program, argv), { from: 'user' });
  } catch (error) {
    if (cli.interrupted) interrupted();
    throw error;
  }
}

// Of a command that does not exist, commander would show its parent's help and call that a success.
function wordsToParse(program: Command, argv: readonly string[]): string[] {
  const all = withHelpLast(argv);
  if (!namesNoCommand(program, all)) return all;
  return all.filter((word) => word !== '--help' && word !== '-h');
}

// "help volume create", "volume help create": commander itself would look at one word only.
function withHelpLast(argv: readonly string[]): string[] {
  const at = argv.slice(0, 2).indexOf('help');
  return at < 0 ? [...argv] : [...argv.toSpliced(at, 1), '--help'];
}

function interrupted(): never {
  process.stderr.write('\nkeyvol: interrupted\n');
  process.exit(130);
}

/** The whole tree; `words` limits whose verbs are loaded, for every one costs start-up time. */
export async function buildProgram(
  words?: ReadonlySet<string>,
): Promise<{ program: Command; cli: CliContext }> {
  const program = rootCommand();
  const cli = new CliContext(program);
  const isNamed = (name: string) => words?.has(name) ?? true;
  for (const noun of nouns) program.addCommand(await nounCommand(noun, cli, isNamed(noun.name)));
  for (const factory of singles) program.addCommand(factory(cli));
  program.addCommand(completeCommand(cli), { hidden: true });
  inheritSettings(program);
  return { program, cli };
}

function rootCommand(): Command {
  return new Command('keyvol')
    .description('encrypted disks and images whose keys decide whether they can be used')
    .usage('<noun> <verb> [options]')
    .option('--json', 'print the result as JSON')
    .option('--state-dir <dir>', 'where the daemon keeps keys and disks (KEYVOL_STATE_DIR)')
    .option('--runtime-dir <dir>', 'where its socket and disks appear (KEYVOL_RUNTIME_DIR)')
    .version(`keyvol ${version()}`, '--version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText(
      'after',
      helpEnd('keyvol daemon start\nkeyvol volume create db --size 10G', everything),
    );
}

async function nounCommand(noun: Noun, cli: CliContext, loaded: boolean): Promise<Command> {
  const command = new Command(noun.name).description(noun.description).usage('<verb> [options]');
  if (!loaded) return command;
  for (const verb of await noun.verbs()) command.addCommand(verb(cli));
  return command.addHelpText('after', helpEnd(noun.example, everything));
}

// Commands made elsewhere do not inherit how errors and help are shown.
function inheritSettings(parent: Command): void {
  for (const child of parent.commands) {
    child.copyInheritedSettings(parent);
    inheritSettings(child);
  }
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  // Our own package.json, which has a version.
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
