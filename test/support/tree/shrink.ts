/** Makes a failing run short: what is not needed for the failure goes. */
import { namesOf, type TreeOperation } from './operations.js';

export interface Shrunk {
  readonly operations: readonly TreeOperation[];
  readonly tries: number;
}

/**
 * `fails` runs operations on something new and says at which one they fail, or undefined when they
 * do not. First whole disks and kinds of operations are left out, then ever smaller parts (delta
 * debugging), until no single operation can go; then what is left is made simpler. Stops at
 * `deadlineMs` of `performance.now()` with what it has.
 */
export async function shrink(
  operations: readonly TreeOperation[],
  fails: (operations: readonly TreeOperation[]) => Promise<number | undefined>,
  deadlineMs = Infinity,
): Promise<Shrunk> {
  const shrinker = new Shrinker(operations, fails, deadlineMs);
  if (!(await shrinker.take(operations))) return { operations, tries: shrinker.tries };
  await shrinker.leaveOutGroups((operation) => namesOf(operation));
  await shrinker.leaveOutGroups((operation) => [operation.do]);
  await shrinker.leaveOutParts();
  await shrinker.simplify();
  await shrinker.leaveOutParts();
  return { operations: shrinker.best, tries: shrinker.tries };
}

class Shrinker {
  tries = 0;

  constructor(
    public best: readonly TreeOperation[],
    private readonly fails: (operations: readonly TreeOperation[]) => Promise<number | undefined>,
    private readonly deadlineMs: number,
  ) {}

  /** Keeps the candidate, up to where it fails, if it does. */
  async take(candidate: readonly TreeOperation[]): Promise<boolean> {
    if (performance.now() > this.deadlineMs) return false;
    this.tries += 1;
    const failedAt = await this.fails(candidate);
    if (failedAt === undefined) return false;
    this.best = candidate.slice(0, failedAt + 1);
    return true;
  }

  async leaveOutGroups(groupsOf: (operation: TreeOperation) => readonly string[]): Promise<void> {
    for (const group of new Set(this.best.flatMap(groupsOf))) {
      await this.take(this.best.filter((operation) => !groupsOf(operation).includes(group)));
    }
  }

  async leaveOutParts(): Promise<void> {
    for (let length = Math.ceil(this.best.length / 2); ; length = Math.ceil(length / 2)) {
      const before = this.best.length;
      for (let end = this.best.length; end > 0; end = Math.min(end - length, this.best.length)) {
        const start = Math.max(0, end - length);
        await this.take([...this.best.slice(0, start), ...this.best.slice(end)]);
      }
      if (length === 1 && this.best.length === before) return;
      if (performance.now() > this.deadlineMs) return;
    }
  }

  async simplify(): Promise<void> {
    for (let index = this.best.length - 1; index >= 0; index -= 1) {
      const operation = this.best[index];
      if (operation === undefined) continue;
      for (const simpler of simplerThan(operation)) {
        if (await this.take(this.best.with(index, simpler))) break;
      }
    }
  }
}

function simplerThan(operation: TreeOperation): TreeOperation[] {
  switch (operation.do) {
    case 'fault':
      return [operation.during];
    case 'kill':
      return [
        { do: 'restart' },
        ...operation.rush.map((_, index) => ({
          ...operation,
          rush: operation.rush.filter((_one, other) => other !== index),
        })),
      ];
    case 'read':
    case 'write':
    case 'discard':
    case 'zero':
      return [{ ...operation, offset: 0, length: 4096 }];
    case 'create':
    case 'import':
      return [{ ...operation, sectors: 1 }];
    default:
      return [];
  }
}
