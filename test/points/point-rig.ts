/** Makes the nth call of a request fail, for every n, and sees that nothing else is wrong after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../dist/fault.js';
import { checkState, lookAt } from '../powercut/checker.js';
import { KeyBytes } from '../powercut/key-bytes.js';
import { Performer, type Attempt } from '../powercut/perform.js';
import type { Operation } from '../powercut/history.js';
import type { FaultControl, FaultKind } from './fault-control.js';
import { attachedVolume, beginning, type Try, type Verb } from './point-verbs.js';

/** Nothing takes longer. */
const endsWithinMs = 10_000;
const mostTries = 25;

/** What was met at fault points. */
export interface Tally {
  points: number;
  refused: number;
  /** Refused, though it was done. */
  halfDone: number;
}

/** Lets the nth call that `kind` concerns fail; which one that was, undefined when there are less. */
export type Trial = (kind: FaultKind, nth: number) => Promise<string | undefined>;

/** Refusals of a second try, which say that the first one was done. */
const doneBefore = /_EXISTS$|_NOT_FOUND$|^WRONG_STATE$/;

export class PointRig {
  readonly #control: FaultControl;
  readonly #directory: string;
  readonly #keyBytes = new KeyBytes();
  #performer: Performer;
  #count = 0;
  readonly #tally: Tally;

  private constructor(
    control: FaultControl,
    directory: string,
    performer: Performer,
    tally: Tally,
  ) {
    this.#control = control;
    this.#tally = tally;
    this.#directory = directory;
    this.#performer = performer;
  }

  /** In a fresh directory below the root; counts in `tally`. */
  static async open(control: FaultControl, tally: Tally): Promise<PointRig> {
    const directory = join(control.root, 'rig');
    const performer = await Performer.open(join(directory, 'state'), { threadless: false });
    const rig = new PointRig(control, directory, performer, tally);
    for (const operation of beginning) await rig.#must(operation);
    return rig;
  }

  /** Each time with another name. */
  verb(verb: Verb): Trial {
    return (kind, nth) => this.#tryVerb(verb.at(this.#count), kind, nth);
  }

  /** The start fails with a clean error, or goes as far as it can; the next one finds everything. */
  start(): Trial {
    return async (kind, nth) => {
      await this.#performer.end();
      this.#control.arm(kind, nth);
      const said = await orRefusal(this.#performer.begin());
      const hit = this.#control.disarm();
      if (said === undefined) await this.#performer.end();
      await this.#comeBack(`a start, ${kind.name} at call ${nth} (${hit ?? 'none'})`, said);
      return hit;
    };
  }

  /** The stop closes everything, whatever fails. */
  stop(): Trial {
    return async (kind, nth) => {
      await this.#must({
        do: 'write',
        volume: attachedVolume,
        sector: 0,
        sectors: 8,
        version: 1000 + this.#count,
      });
      this.#control.arm(kind, nth);
      const said = await orRefusal(this.#performer.end());
      const hit = this.#control.disarm();
      await this.#comeBack(`a stop, ${kind.name} at call ${nth} (${hit ?? 'none'})`, said);
      return hit;
    };
  }

  /**
   * Every `step`th call from the `first` on. Throws at the first problem. The next one when this
   * rig has had its time: layers that verbs leave behind slow it.
   */
  async tryAll(
    trial: Trial,
    kind: FaultKind,
    first: number,
    step: number,
  ): Promise<number | undefined> {
    for (let nth = first; ; nth += step) {
      if (this.#count >= mostTries) return nth;
      this.#count += 1;
      const hit = await trial(kind, nth);
      if (hit === undefined) return undefined;
      this.#tally.points += 1;
    }
  }

  /** Sees that the next start finds all of it. */
  async close(): Promise<void> {
    const { history } = this.#performer;
    await this.#performer.end();
    const stateDir = join(this.#directory, 'state');
    const problems = await checkState(stateDir, history, { keyBytes: this.#keyBytes });
    rmSync(this.#directory, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  async abandon(): Promise<void> {
    this.#control.disarm();
    await this.#performer.close().catch(() => undefined);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #tryVerb(one: Try, kind: FaultKind, nth: number): Promise<string | undefined> {
    for (const operation of one.before ?? []) await this.#must(operation);
    this.#control.arm(kind, nth);
    const { attempt, hit } = await this.#underFault(one.ask);
    try {
      if (attempt.refusal !== undefined) await this.#recover(one.ask, attempt.id, attempt.refusal);
      if (attempt.isShutOnly === true) {
        this.#performer.answer(attempt.id, 'refused');
        await this.#must(one.ask);
      }
      for (const operation of one.after ?? []) await this.#must(operation);
      await this.#check();
      return hit;
    } catch (error) {
      const said = attempt.refusal === undefined ? 'done' : textOf(attempt.refusal);
      throw new Error(
        `${JSON.stringify(one.ask)}, ${kind.name} at call ${nth} (${hit ?? 'none'}): ${said}; then ${textOf(error)}`,
        { cause: error },
      );
    }
  }

  async #underFault(operation: Operation): Promise<{ attempt: Attempt; hit: string | undefined }> {
    const attempt = await firstOf(this.#performer.attempt(operation), endsWithinMs);
    const hit = this.#control.disarm();
    if (attempt === undefined) throw new Error(`${JSON.stringify(operation)} hangs`);
    return { attempt, hit };
  }

  /** Asks again, now that nothing fails: it is done, or it turns out to have been done. */
  async #recover(operation: Operation, id: number, refusal: Fault): Promise<void> {
    this.#tally.refused += 1;
    if (refusal.code === 'INTERNAL') throw new Error('that is no clean error');
    switch (operation.do) {
      case 'write':
      case 'discard':
        // What it left behind is superseded.
        await this.#must(operation);
        return;
      case 'flush':
        await this.#attachAgain(operation.volume);
        return;
      default: {
        const again = await this.#attemptWhereSound(operation);
        const was = again.refusal !== undefined;
        if (was && !doneBefore.test(again.refusal.code)) throw again.refusal;
        this.#performer.answer(was ? again.id : id, 'refused');
        if (was) {
          this.#performer.answer(id, 'half-done');
          this.#tally.halfDone += 1;
        }
      }
    }
  }

  async #attachAgain(volume: string): Promise<void> {
    await this.#performer.attempt({ do: 'detach', volume });
    await this.#must({ do: 'attach', volume });
    await this.#must({
      do: 'write',
      volume,
      sector: 0,
      sectors: 8,
      version: 1_000_000 + this.#count,
    });
    await this.#must({ do: 'flush', volume });
  }

  async #must(operation: Operation): Promise<void> {
    const attempt = await firstOf(this.#attemptWhereSound(operation), endsWithinMs);
    if (attempt === undefined) throw new Error(`${JSON.stringify(operation)} hangs`);
    if (attempt.refusal === undefined && attempt.isShutOnly !== true) return;
    throw new Error(`${JSON.stringify(operation)} is refused: ${textOf(attempt.refusal)}`);
  }

  /** A flush that has failed has failed for good: then the disk is attached again first. */
  async #attemptWhereSound(operation: Operation): Promise<Attempt> {
    const attempt = await this.#performer.attempt(operation);
    if (attempt.refusal?.code !== 'DISK_POISONED') return attempt;
    this.#performer.answer(attempt.id, 'refused');
    await this.#attachAgain(attachedVolume);
    return this.#performer.attempt(operation);
  }

  async #check(): Promise<void> {
    const problems = await lookAt(this.#performer.services, this.#performer.history);
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  async #comeBack(what: string, said: Fault | undefined): Promise<void> {
    if (said !== undefined) this.#tally.refused += 1;
    try {
      if (said?.code === 'INTERNAL') throw new Error('that is no clean error');
      await this.#performer.begin();
      await this.#check();
    } catch (error) {
      throw new Error(
        `${what}: ${said === undefined ? 'done' : textOf(said)}; then ${textOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }
}

/** Only Faults are refusals. */
async function orRefusal(work: Promise<void>): Promise<Fault | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw new Error(`that is no clean error: ${textOf(error)}`, { cause: error });
  }
}

async function firstOf<Result>(
  work: Promise<Result>,
  milliseconds: number,
): Promise<Result | undefined> {
  const late = new AbortController();
  const lapse = sleep(milliseconds, undefined, { signal: late.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, lapse]);
  } finally {
    late.abort();
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  return `${code}${error.message}`;
}
