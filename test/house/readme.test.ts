// The README is the first thing people type from: what it names must exist.
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { buildProgram } from '../../dist/cli/program.js';

const readme = readFileSync('README.md', 'utf8');
const packageJson = JSON.parse(readFileSync('package.json', 'utf8'));

t.test('the README lists exactly the verbs of every noun', async (t) => {
  const { program } = await buildProgram();
  for (const noun of program.commands.filter((command) => command.commands.length > 0)) {
    const [, listed = ''] =
      new RegExp(`^\\| \`keyvol ${noun.name()}\` \\| \`(.+)\` \\|$`, 'm').exec(readme) ?? [];
    const verbs = noun.commands.map((command) => command.name());
    t.same(listed.split(' ').sort(), verbs.sort(), noun.name());
  }
});

t.test('every npm script that the README names exists', (t) => {
  const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
  t.ok(named.includes('quickstart'));
  t.same(
    named.filter((name) => !(name in packageJson.scripts)),
    [],
  );
  t.end();
});

t.test('every link of the README leads to a file', (t) => {
  const targets = [...readme.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, target = '']) => target);
  t.same(
    targets.filter((target) => !existsSync(target)),
    [],
  );
  t.end();
});

t.test('the programs of package.json exist and can be executed', (t) => {
  for (const path of Object.values<string>(packageJson.bin)) {
    t.match(readFileSync(path, 'utf8'), /^#!\/usr\/bin\/env .*\bnode\b/, path);
  }
  t.end();
});
