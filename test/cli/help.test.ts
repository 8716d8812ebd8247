// Help is what people learn keyvol from: every command has an example and its exit statuses, and a
// change of the interface must be seen in review. KEYVOL_UPDATE_FIXTURES=1 writes the new text.
import type { Command } from 'commander';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { buildProgram } from '../../dist/cli/program.js';
import { commandLines } from '../support/cli-commands.js';
import { runCli } from '../support/run-cli.js';

const fixture = fileURLToPath(new URL('../../fixtures/cli/help.txt', import.meta.url));
const { program } = await buildProgram();
const commands = everyCommand(program).filter((command) => command.name() !== '__complete');
const texts = new Map(commands.map((command) => [pathOf(command), helpOf(command)]));

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return text;
}

t.test('every command describes itself, with an example and its exit statuses', async (t) => {
  for (const [path, text] of texts) {
    t.match(text, new RegExp(`^Usage: ${path}(\\|\\w+)? .*\\n\\n\\w`), `${path}: a description`);
    t.match(text, /\nExample:\n {2}.*keyvol /, `${path}: an example`);
    t.match(text, /\nExit statuses:\n {2}0 +done\n/, `${path}: exit statuses`);
    t.notMatch(text, /encryption\b.*--no-|--no-encryption/, `${path}: no way to a plain disk`);
  }
});

t.test('every example is a command that exists, with options that it has', async (t) => {
  for (const [path, text] of texts) {
    const [example = ''] = /(?<=\nExample:\n {2}).*/.exec(text) ?? [];
    const words = example.replace(/^source <\(|\)$/g, '').split(' ');
    const own = [...texts.keys()].filter((known) => words.join(' ').startsWith(known));
    t.ok(own.length > 0, `${path}: ${example}`);
    for (const word of words.filter((word) => word.startsWith('-'))) {
      t.match(text, new RegExp(`${word}[ ,]`), `${path}: ${word}`);
    }
  }
});

t.test('every leaf command is run by some test', async (t) => {
  const tested = new Set(commandLines.map((line) => line.slice(0, 2).join(' ')));
  const leaves = commands.filter((command) => command.commands.length === 0);
  for (const leaf of leaves) {
    const words = pathOf(leaf).split(' ').slice(1).join(' ');
    t.ok(tested.has(words) || [...tested].some((line) => line.startsWith(`${words} `)), words);
  }
});

t.test('the help of all commands is what the fixture says', async (t) => {
  const text = [...texts].map(([path, help]) => `$ ${path} --help\n${help}`).join('\n');
  if (process.env.KEYVOL_UPDATE_FIXTURES === '1') writeFileSync(fixture, text);
  t.equal(text, readFileSync(fixture, 'utf8'));
});

for (const args of [
  ['volume', 'create', '--help'],
  ['help', 'volume', 'create'],
  ['volume', 'help', 'create'],
]) {
  t.test(`keyvol ${args.join(' ')} prints that help on stdout, and ends with 0`, async (t) => {
    const { status, stdout, stderr } = await runCli(args);
    t.equal(status, 0);
    t.equal(stderr, '');
    t.equal(stdout, texts.get('keyvol volume create'));
  });
}

t.test('--version prints the version of the package', async (t) => {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  const { status, stdout } = await runCli(['--version']);
  t.equal(status, 0);
  t.equal(stdout, `keyvol ${version}\n`);
});
