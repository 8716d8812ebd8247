/** Runs operations on the services and on the model, and compares after every one. */
import { AuditBook } from './audit-book.js';
import { compareSeek, compareSurvey, LayerIds } from './compare.js';
import { Mismatch } from './content.js';
import { change, flushed, maybeChange, poison, takeEffect, attached } from './effects.js';
import { keySlots } from './generate.js';
import { TreeModel, type ModelLimits } from './model.js';
import {
  isIo,
  namesOf,
  type DiskName,
  type IoOperation,
  type KeyOperation,
  type SimpleOperation,
  type TreeFault,
  type TreeOperation,
  type VerbOperation,
} from './operations.js';
import type { Survey, TreeAnswer, TreeRequest, TreeSubject } from './subject.js';
import { assertNeverShared } from './uniqueness.js';

export interface TreeReport {
  readonly mostLayers: number;
  readonly deepest: number;
  /** "write done" → how often. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Where the services and the model differ first. */
export class TreeFailure extends Error {
  constructor(
    readonly index: number,
    operation: TreeOperation,
    cause: unknown,
  ) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`operation ${index} ${JSON.stringify(operation)}: ${why}`, { cause });
  }
}

export const defaultLimits: ModelLimits = { depth: 120, layers: 320, attached: 7 };

/** Answers a cut-off may give late on a loaded machine, and then the flush may not have ended. */
const lateMs = 600;

/** Runs all of it, or throws a TreeFailure. The subject is new, and stays open. */
export async function runTree(
  subject: TreeSubject,
  operations: readonly TreeOperation[],
  limits: ModelLimits = defaultLimits,
): Promise<TreeReport> {
  const run = new TreeRun(subject, limits);
  for (const [index, operation] of operations.entries()) {
    try {
      await run.step(operation);
    } catch (error) {
      throw new TreeFailure(index, operation, error);
    }
  }
  try {
    await run.checkAll();
  } catch (error) {
    throw new TreeFailure(operations.length, { do: 'restart' }, error);
  }
  return run.report();
}

class TreeRun {
  readonly #model: TreeModel;
  readonly #layerIds = new LayerIds();
  readonly #audit = new AuditBook();
  readonly #counts: Record<string, number> = {};
  #survey: Survey | undefined;
  #mostLayers = 0;
  #deepest = 0;

  constructor(
    private readonly subject: TreeSubject,
    limits: ModelLimits,
  ) {
    this.#model = new TreeModel(keySlots, limits);
  }

  async step(operation: TreeOperation): Promise<void> {
    if (operation.do === 'check') return this.#check(operation.disk);
    if (operation.do === 'restart') return this.#restart();
    if (operation.do === 'kill') return this.#kill(operation.rush, operation.afterMs);
    const simple = this.#model.aimed(operation.do === 'fault' ? operation.during : operation);
    const expected = this.#model.expected(simple);
    this.#count(`${simple.do} ${expected}`);
    if (expected === 'skip') return;
    if (operation.do === 'fault') return this.#faulted(operation.fault, simple, expected);
    const answer = await this.#perform(simple);
    if (!this.#isExpected(simple, answer, expected)) throw unexpected(answer, expected);
    this.#apply(simple, answer);
    await this.#after(simple);
  }

  /** Everything once more, with all keys given back. */
  async checkAll(): Promise<void> {
    for (let key = 0; key < keySlots; key++) {
      if (this.#model.keys[key] === 'pending-deletion') {
        await this.step({ do: 'key', key, action: 'cancel' });
      }
      await this.step({ do: 'key', key, action: 'enable' });
    }
    for (const name of this.#model.disks.keys()) await this.#check(name);
    await this.#surveyAndCompare();
    assertNeverShared(this.subject.directory);
  }

  report(): TreeReport {
    const { counts, mostLayers, deepest } = {
      counts: this.#counts,
      mostLayers: this.#mostLayers,
      deepest: this.#deepest,
    };
    return { counts, mostLayers, deepest };
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
  }

  async #perform(operation: SimpleOperation): Promise<TreeAnswer> {
    const answer = await this.subject.perform(this.#model.request(operation));
    this.#audit.expect(operation, answer.code);
    return answer;
  }

  /** A disk that was poisoned for being late may have been flushed after all. */
  #isExpected(operation: SimpleOperation, { code }: TreeAnswer, expected: string): boolean {
    return (
      code === expected || (operation.do === 'detach' && expected === 'IO_ERROR' && code === 'done')
    );
  }

  #apply(operation: SimpleOperation, answer: TreeAnswer): void {
    if (operation.do === 'detach' && answer.code === 'IO_ERROR') {
      takeEffect(this.#model, operation);
      return;
    }
    if (answer.code !== 'done') return;
    if (operation.do === 'key') {
      this.#followKey(operation, answer, false);
      return;
    }
    if (!isIo(operation)) {
      takeEffect(this.#model, operation);
      return;
    }
    this.#applyIo(operation, answer);
  }

  #applyIo(operation: IoOperation, answer: TreeAnswer): void {
    const { content, attachment } = this.#model.get(operation.disk);
    const request = this.#model.request(operation);
    if (request.do === 'read') {
      content.compare(request.offset, answer.bytes ?? Buffer.alloc(0), attachment?.poisoned);
    } else if (request.do === 'seek') {
      if (content.isCertain) compareSeek(content, request.offset, answer);
    } else {
      change(this.#model, operation);
    }
  }

  /** Verbs change records and files, which are compared at once. */
  async #after(operation: SimpleOperation): Promise<void> {
    if (isIo(operation)) return;
    await this.#surveyAndCompare();
    await this.#settle();
  }

  async #surveyAndCompare(): Promise<void> {
    const survey = await this.#lookAround();
    this.#audit.compare(survey.audit);
    compareSurvey(this.#model, survey, this.#layerIds);
    this.#mostLayers = Math.max(this.#mostLayers, survey.layers.length);
    this.#deepest = Math.max(this.#deepest, this.#layerIds.deepest);
  }

  async #lookAround(): Promise<Survey> {
    const afterAudit = this.#survey?.lastAudit ?? 0;
    const { survey, message } = await this.subject.perform({ do: 'survey', afterAudit });
    if (survey === undefined) throw new Error(`no survey: ${message ?? ''}`);
    this.#survey = survey;
    return survey;
  }

  /** Reads what is uncertain on open disks: from then on it must stay what it is. */
  async #settle(): Promise<void> {
    for (const { name, disk, attachment } of this.#model.attached()) {
      if (!attachment.open || attachment.poisoned || disk.content.isCertain) continue;
      await this.#readAll(name);
    }
  }

  async #readAll(name: DiskName): Promise<void> {
    const { content, attachment } = this.#model.get(name);
    const request: TreeRequest =
      attachment === undefined
        ? { do: 'look', disk: name }
        : { do: 'read', disk: name, offset: 0, length: content.sizeBytes };
    const { code, bytes, message } = await this.subject.perform(request);
    if (code !== 'done' || bytes === undefined) throw new Error(`${name}: ${message ?? code}`);
    if (bytes.length !== content.sizeBytes) {
      throw new Mismatch(`${name} has ${bytes.length} bytes, expected ${content.sizeBytes}`);
    }
    try {
      content.compare(0, bytes, attachment?.poisoned);
    } catch (error) {
      throw new Mismatch(`${name}: ${String(error)}`);
    }
  }

  async #check(name: DiskName): Promise<void> {
    const disk = this.#model.disks.get(name);
    if (disk === undefined || !this.#model.usable(disk.key)) return;
    if (disk.attachment?.open === false) return;
    this.#count('check');
    await this.#readAll(name);
  }

  #followKey(operation: KeyOperation, answer: TreeAnswer, faulty: boolean): void {
    const next = this.#model.nextKeyState(operation.key, operation.action);
    if (typeof next !== 'string') throw new Error('a refused change of a key was done');
    const had = this.#model.usable(operation.key);
    this.#model.keys[operation.key] = next;
    const outcomes = new Map((answer.changes ?? []).map((one) => [one.disk, one]));
    for (const { name, disk, attachment } of this.#model.attached()) {
      if (disk.key !== operation.key) continue;
      const outcome = outcomes.get(name);
      if (had && next !== 'enabled' && attachment.open) {
        if (disk.untilDetach) {
          if (outcome?.outcome !== 'kept-until-detach') throw odd(name, outcome);
          continue;
        }
        attachment.open = false;
        if (outcome?.outcome === 'closed') flushed(disk);
        else if (outcome?.outcome !== 'closed-unflushed') throw odd(name, outcome);
        else if (faulty || attachment.poisoned || outcome.tookMs > lateMs) poison(disk);
        else throw odd(name, outcome);
      }
      if (next === 'enabled' && !attachment.open) {
        const fails = attachment.poisoned;
        if (outcome?.outcome === 'reopened' && !fails) attachment.open = true;
        else if (outcome?.outcome !== 'reopen-failed') throw odd(name, outcome);
        else if (fails) attachment.open = true;
        else if (!faulty) throw odd(name, outcome);
      }
    }
  }

  async #faulted(fault: TreeFault, operation: SimpleOperation, expected: string): Promise<void> {
    await this.subject.perform({ do: 'arm', fault });
    const answer = await this.#perform(operation);
    await this.subject.perform({ do: 'disarm' });
    const survey = await this.#lookAround();
    const failures = [fault.errno === 28 ? 'NO_SPACE' : 'IO_ERROR'];
    if (answer.code === expected) {
      if (operation.do === 'key' && answer.code === 'done')
        this.#followKey(operation, answer, true);
      else this.#apply(operation, answer);
    } else if (expected === 'done' && failures.includes(answer.code)) {
      this.#count(`${operation.do} failed`);
      this.#failed(operation, survey);
    } else {
      throw unexpected(answer, `${expected} or ${failures.join(' or ')}`);
    }
    this.#learnPoison(fault, survey);
    this.#audit.compare(survey.audit);
    compareSurvey(this.#model, survey, this.#layerIds);
    await this.#settle();
  }

  #failed(operation: SimpleOperation, survey: Survey): void {
    if (isIo(operation)) {
      maybeChange(this.#model, operation);
      return;
    }
    if (operation.do === 'key') throw new Error('a key change fails for no storage of disks');
    const happened = this.#hasHappened(operation, survey);
    if (operation.do === 'detach') {
      if (!happened) throw new Mismatch('a failed detach left the disk attached');
      poison(this.#model.get(operation.disk));
    }
    if (happened) takeEffect(this.#model, operation);
  }

  /** A failed sync poisons; other faults do not. */
  #learnPoison(fault: TreeFault, survey: Survey): void {
    for (const { ref, poisoned } of survey.devices) {
      const disk = this.#model.get(ref);
      const { attachment } = disk;
      if (attachment === undefined || fault.operation !== 'sync') continue;
      if (poisoned && !attachment.poisoned && !attachment.readOnly) poison(disk);
    }
  }

  async #restart(): Promise<void> {
    await this.subject.restart();
    await this.#comeBack();
  }

  async #kill(rush: readonly SimpleOperation[], afterMs: number): Promise<void> {
    const sent = this.#independent(rush);
    const answers = sent.map((operation) => this.subject.perform(this.#model.request(operation)));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await this.subject.kill();
    const settled = await Promise.all(answers);
    const before = this.#survey;
    const survey = await this.#lookAround();
    for (const [index, operation] of sent.entries()) {
      const answer = settled[index] ?? { code: 'killed' };
      this.#count(`${operation.do} in a rush: ${answer.code}`);
      if (answer.code !== 'killed') {
        if (answer.code !== 'done') throw unexpected(answer, 'done, in a rush');
        this.#audit.expect(operation, 'done');
        this.#apply(operation, answer);
      } else if (isIo(operation)) {
        maybeChange(this.#model, operation);
      } else if (operation.do !== 'key') {
        this.#audit.maybe(operation);
        if (this.#hasHappened(operation, survey, before)) takeEffect(this.#model, operation);
      }
    }
    await this.#comeBack(survey);
  }

  /** Those that can be done at once and whose order makes no difference. */
  #independent(rush: readonly SimpleOperation[]): SimpleOperation[] {
    const named = new Set<DiskName>();
    return rush
      .map((operation) => this.#model.aimed(operation))
      .filter((operation) => {
        const names = namesOf(operation);
        if (operation.do === 'key' || names.some((name) => named.has(name))) return false;
        // What is deleted may keep others from being made.
        if (this.#model.expected(operation) !== 'done') return false;
        for (const name of names) named.add(name);
        return true;
      });
  }

  /** Whether the records show what a verb does, though nobody heard of its end. */
  #hasHappened(operation: VerbOperation, survey: Survey, before = this.#survey): boolean {
    const record = survey.disks.find(({ ref }) => ref === operation.disk);
    const isAttached = survey.attachments.some(({ ref }) => ref === operation.disk);
    switch (operation.do) {
      case 'delete':
        return record === undefined;
      case 'attach':
        return isAttached;
      case 'detach':
        return !isAttached;
      case 'rollback':
      case 'resize': {
        const volume = operation.disk.split('@')[0];
        const top = (of: Survey | undefined): string | undefined =>
          of?.disks.find(({ ref }) => ref === volume)?.topLayerId;
        return top(survey) !== top(before);
      }
      default:
        return record !== undefined;
    }
  }

  /** After a start: what was attached is attached again, if its key allows it. */
  async #comeBack(seen?: Survey): Promise<void> {
    for (const { disk, attachment } of this.#model.attached()) {
      disk.attachment = attached(attachment.readOnly, this.#model.usable(disk.key));
    }
    const survey = seen ?? (await this.#lookAround());
    this.#audit.compare(survey.audit);
    if (survey.unclaimed !== 0) throw new Mismatch(`${survey.unclaimed} containers are unclaimed`);
    compareSurvey(this.#model, survey, this.#layerIds);
    await this.#settle();
  }
}

function unexpected({ code, message }: TreeAnswer, expected: string): Mismatch {
  return new Mismatch(
    `${code}${message === undefined ? '' : ` (${message})`}, expected ${expected}`,
  );
}

function odd(name: DiskName, outcome: { outcome: string; detail?: string } | undefined): Mismatch {
  return new Mismatch(
    `${name} followed its key: ${outcome?.outcome ?? 'not told'}, ${outcome?.detail ?? ''}`,
  );
}
