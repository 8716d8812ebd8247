/** `npm run bench`: every system and every job, in turn, on RAM and on a real file. */
import { join } from 'node:path';
import type { Bench } from './bench.js';
import { runChains } from './chain.js';
import { runControl } from './control.js';
import { machineFacts, versionFacts } from './machine.js';
import { optionsOf, usage, type Options } from './options.js';
import { installPeers } from './peers.js';
import { printSummary, writeReport, type Report } from './report.js';
import { exporters, runNbd } from './nbd-suite.js';
import { Results, suites } from './results.js';
import { Stage, type Backing } from './stage.js';
import { runSystems, systems } from './systems-suite.js';
import { runXts } from './xts.js';

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = optionsOf(argv);
  } catch (error) {
    process.stderr.write(`bench: error: ${(error as Error).message}\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write('bench: error: only root can mount a tmpfs and set up loop devices\n');
    return 1;
  }
  const stage = new Stage(options.backing);
  try {
    return await run(options, stage);
  } catch (error) {
    process.stderr.write(
      `bench: error: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return 1;
  } finally {
    stage.clear();
  }
}

async function run(options: Options, stage: Stage): Promise<number> {
  const { shell } = stage;
  await installPeers(shell);
  await shell.run('make', '-s', '-C', process.cwd(), '-f', join('bench', 'native', 'Makefile'));
  const bench: Bench = { options, stage, results: new Results(), ...selection(options.only) };
  const backings = await stage.backings();
  const machine = await machineFacts(shell, backings);
  const versions = await versionFacts(shell);
  await runXts(bench);
  // A try of the chains on one backing will do.
  const isTried = ({ name }: Backing): boolean => options.smoke && name === 'file';
  for (const backing of backings.filter((one) => wantsBacking(options.only, one))) {
    for (const suite of [
      runSystems,
      runNbd,
      runControl,
      ...(isTried(backing) ? [] : [runChains]),
    ]) {
      await suite(bench, backing);
      stage.empty(backing);
    }
  }
  const { results } = bench;
  const commands = [...shell.log.commands].map((command) => shell.log.readable(command));
  const { turns, failures, skips, notes } = results;
  const settings = {
    rounds: options.rounds,
    seconds: options.seconds,
    sizeBytes: options.sizeBytes,
  };
  const report: Report = {
    date: new Date().toISOString(),
    ...{ settings, machine, versions, commands, turns, failures, skips, notes },
  };
  if (options.json) console.log(JSON.stringify(report));
  else printSummary(report);
  if (!options.smoke && options.only.length === 0) writeReport(report);
  return failures.length === 0 ? 0 : 1;
}

/** Words of `--only` that name backings or systems choose those; others, and suites, choose jobs. */
function selection(only: readonly string[]): Pick<Bench, 'wantsSystem' | 'wantsJob'> {
  const names = [...systems, ...exporters].map(({ name }) => name);
  const isSystem = (word: string): boolean =>
    !isSuite(word) && names.some((name) => name.includes(word));
  const chosen = names.filter((name) => only.some((word) => isSystem(word) && name.includes(word)));
  const words = only.filter((word) => !isBackingName(word) && !isSystem(word));
  return {
    wantsSystem: (name) => chosen.length === 0 || chosen.includes(name),
    wantsJob: (suite, job) =>
      words.length === 0 || words.some((word) => `${suite}: ${job}`.includes(word)),
  };
}

function wantsBacking(only: readonly string[], { name }: Backing): boolean {
  return only.includes(name) || !only.some(isBackingName);
}

/** `nbd`, or `nbd: 4 KiB`: also where a system's name has it. */
function isSuite(word: string): boolean {
  return suites.some((suite) => word === suite || word.startsWith(`${suite}:`));
}

function isBackingName(word: string): boolean {
  return word === 'RAM' || word === 'file';
}
