/**
 * Runs the compiled test files: `node build-scripts/run-tests.js [--jobs N] [WORD…]`, with words
 * only the files whose path contains one of them. Ends with the line
 * `N passed, N failed, N skipped` and exits 1 on any failure, or when no test ran.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inspect, parseArgs } from 'node:util';
import { runTestFile, type FileResult } from './test-file.js';

const testDirectory = 'test';
const builtDirectory = 'build-test';

/** Areas that use neither mounts nor deadlines, so that two of their files may run at a time. */
const sharingAreas = ['house', 'secret', 'wrap', 'xts', 'store', 'kms', 'audit', 'units'];

/** Areas that are bound by nothing but the machine: they give way to those that run beside them. */
const patientAreas = ['attacks', 'points', 'powercut', 'sanitized'];

/** Areas that fill the machine for long: their files at a time, the longest first. */
const heavyAreas = ['pressure', 'fuzz'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: 'string', default: '2' } },
});
process.exitCode = await main(positionals, Number(values.jobs));

async function main(words: readonly string[], jobs: number): Promise<number> {
  const files = testFiles(words);
  const sharing = files.filter((file) => sharingAreas.includes(areaOf(file)));
  const patient = files.filter((file) => patientAreas.includes(areaOf(file)));
  const heavy = heavyAreas.flatMap((area) => files.filter((file) => areaOf(file) === area));
  const others = [...sharing, ...patient, ...heavy];
  const alone = files.filter((file) => !others.includes(file));
  const inOrder = async (): Promise<FileResult[]> => [
    ...(await runAll(sharing, jobs)),
    ...(await runAll(alone, 1)),
    ...(await runAll(heavy, jobs)),
  ];
  const results =
    jobs > 1
      ? (await Promise.all([inOrder(), runAll(patient, 1)])).flat()
      : [...(await inOrder()), ...(await runAll(patient, 1))];
  for (const result of results) printFailures(result);
  for (const result of results) printSkips(result);
  return printTotals(results);
}

/** From the sources, so that what is still built of a deleted test does not run. */
function testFiles(words: readonly string[]): string[] {
  return readdirSync(testDirectory, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort()
    .map((file) => join(builtDirectory, file.replace(/\.ts$/, '.js')));
}

function areaOf(file: string): string {
  return file.split('/')[1] ?? '';
}

async function runAll(files: readonly string[], jobs: number): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      if (!existsSync(file)) throw new Error(`${file} is not built; npm run build:test`);
      const result = await runTestFile(file, patientAreas.includes(areaOf(file)));
      results.push(result);
      printLine(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

function printLine({ file, seconds, passed, failures, skips }: FileResult): void {
  const verdict = failures.length > 0 ? 'FAIL' : 'ok  ';
  const skipped = skips.length > 0 ? `, ${skips.length} skipped` : '';
  const failed = failures.length > 0 ? `, ${failures.length} failed` : '';
  console.log(
    `${verdict} ${seconds.toFixed(1).padStart(6)} s  ${file}  ${passed}${failed}${skipped}`,
  );
}

function printFailures({ file, failures, stderr }: FileResult): void {
  if (failures.length === 0) return;
  for (const { name, details } of failures) {
    console.log(`\nnot ok: ${file}: ${name}`);
    if (details !== undefined && details !== null) console.log(indent(readable(details)));
  }
  if (stderr !== '') console.log(`\nstderr of ${file}:\n${indent(lastLines(stderr, 100))}`);
}

/** Diffs and stacks are texts of many lines, which must not be printed as one with \n in it. */
function readable(details: unknown): string {
  if (typeof details !== 'object' || details === null) return String(details);
  return Object.entries(details)
    .map(([key, value]) =>
      typeof value === 'string' && value.includes('\n')
        ? `${key}:\n${indent(value.trimEnd())}`
        : `${key}: ${typeof value === 'string' ? value : inspect(value, { depth: 5 })}`,
    )
    .join('\n');
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

function printSkips({ file, skips }: FileResult): void {
  for (const skip of skips) console.log(`skipped: ${file}: ${skip}`);
}

function printTotals(results: readonly FileResult[]): number {
  const passed = sum(results.map((result) => result.passed));
  const failed = sum(results.map((result) => result.failures.length));
  const skipped = sum(results.map((result) => result.skips.length));
  const seconds = sum(results.map((result) => result.seconds));
  console.log(`\n${results.length} files, ${seconds.toFixed(0)} s of tests`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
