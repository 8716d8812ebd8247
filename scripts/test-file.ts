/** Runs one compiled test file as a process of its own and counts what its TAP output says. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Parser, type Result } from 'tap-parser';
import { describeLeftovers, findLeftovers, removeLeftovers, type RunPlace } from './leftovers.js';

export interface TestFailure {
  readonly name: string;
  /** What tap knows about it: diff, place, source line, error. */
  readonly details: unknown;
}

export interface FileResult {
  readonly file: string;
  readonly seconds: number;
  readonly passed: number;
  readonly failures: readonly TestFailure[];
  /** The name of each skipped test, with its reason. */
  readonly skips: readonly string[];
  /** What the file printed to stderr: kept for failures. */
  readonly stderr: string;
}

/** A file that has not ended by then is killed; tap's own limit for one test is below that. */
const fileLimitSeconds = Number(process.env.KEYVOL_TEST_LIMIT_SECONDS ?? 1200);
const testLimitSeconds = fileLimitSeconds * 0.75;
/** A patient file waits for others most of the time. */
const patience = 3;
/** Daemons that were told to stop may need a moment after the test file has ended. */
const leftoverGraceMs = 3000;

/**
 * Never throws for what a test does: a crash, a hang and left-overs are failures in the result. A
 * patient file gives way to whatever else runs.
 */
export async function runTestFile(file: string, isPatient: boolean): Promise<FileResult> {
  const place = makePlace();
  const startMs = performance.now();
  const niceness = isPatient ? '15' : '0';
  const limits = isPatient ? patience : 1;
  const command = [process.execPath, '--enable-source-maps', file];
  const child = spawn('nice', ['-n', niceness, ...command], {
    env: {
      ...process.env,
      TMPDIR: place.directory,
      KEYVOL_MARK: place.mark,
      TAP_TIMEOUT: String(testLimitSeconds * limits),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: fileLimitSeconds * 1000 * limits,
    killSignal: 'SIGKILL',
  });
  const tally = new Tally();
  child.stdout.pipe(tally.parser);
  const stderr = collect(child);
  const ending = await endOf(child);
  tally.closeFile(ending);
  tally.addLeftovers(await cleanUp(place));
  return {
    file,
    seconds: (performance.now() - startMs) / 1000,
    passed: tally.passed,
    failures: tally.failures,
    skips: tally.skips,
    stderr: stderr(),
  };
}

function makePlace(): RunPlace {
  // Short, since Unix sockets live below it and their paths have at most 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'kvt-'));
  // Tests of permissions reach their files as another user.
  chmodSync(directory, 0o711);
  return { directory, mark: directory };
}

function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Resolves with how the process ended: empty when well. */
async function endOf(child: ChildProcess): Promise<string> {
  // Not "close": a left-over process may hold the pipe open for ever.
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('exit', (...ending) => {
      resolve(ending);
    });
  });
  await Promise.race([drained(child), sleep(1000)]);
  if (child.killed) return `did not end within ${fileLimitSeconds} s`;
  if (signal !== null) return `was ended by ${signal}`;
  return status === 0 ? '' : `exited with status ${status}`;
}

async function drained(child: ChildProcess): Promise<void> {
  const { stdout } = child;
  if (stdout === null || stdout.readableEnded) return;
  await new Promise((resolve) => stdout.once('end', resolve));
}

async function cleanUp(place: RunPlace): Promise<string[]> {
  const deadlineMs = performance.now() + leftoverGraceMs;
  let left = findLeftovers(place);
  while (describeLeftovers(left).length > 0 && performance.now() < deadlineMs) {
    await sleep(100);
    left = findLeftovers(place);
  }
  removeLeftovers(place, left);
  return describeLeftovers(left);
}

/** Counts assertions, not the lines that close a group of them. */
class Tally {
  readonly parser = new Parser();
  readonly failures: TestFailure[] = [];
  readonly skips: string[] = [];
  passed = 0;
  #ended = false;

  constructor() {
    this.#watch(this.parser);
    this.parser.on('bailout', (reason: string) => {
      this.failures.push({ name: 'bailed out', details: reason });
    });
    this.parser.on('complete', () => {
      this.#ended = true;
      const { skipAll, skipReason } = this.parser.results?.plan ?? {};
      if (skipAll === true && skipReason !== 'no tests found') this.skips.push(skipReason ?? '');
    });
  }

  /** Says what the assertions could not: that the file crashed, hung or tested nothing. */
  closeFile(ending: string): void {
    if (!this.#ended) this.parser.end();
    if (ending !== '' && this.failures.length === 0) {
      this.failures.push({ name: `the file ${ending}`, details: undefined });
    }
    if (this.passed + this.failures.length + this.skips.length === 0) {
      this.failures.push({ name: 'the file ran no test', details: undefined });
    }
  }

  addLeftovers(lines: readonly string[]): void {
    if (lines.length > 0) this.failures.push({ name: 'left behind', details: lines });
  }

  #watch(parser: Parser): void {
    let failuresBefore = 0;
    parser.on('child', (child: Parser) => {
      failuresBefore = this.failures.length;
      this.#watch(child);
    });
    parser.on('assert', (result: Result) => {
      if (!result.closingTestPoint) this.#count(result);
      // A group can fail on its own: a wrong plan, or an end that never came.
      else if (!result.ok && this.failures.length === failuresBefore) this.#count(result);
    });
  }

  #count(result: Result): void {
    if (result.skip !== false) this.skips.push(skipLine(result));
    else if (result.ok) this.passed++;
    else if (result.todo === false) {
      this.failures.push({ name: result.fullname, details: result.diag });
    }
  }
}

function skipLine({ fullname, skip }: Result): string {
  return typeof skip === 'string' ? `${fullname}: ${skip}` : fullname;
}
