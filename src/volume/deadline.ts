/** Waiting with an end. */

/** The result of `work`, or of `late` when it takes longer; `work` goes on then, its failure unseen. */
export async function within<Result>(
  milliseconds: number,
  work: Promise<Result>,
  late: () => Result,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Result>((resolve) => {
    timer = setTimeout(() => resolve(late()), Math.max(0, milliseconds));
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** True when `work` succeeded in time; a failure is false, never thrown. */
export async function succeedsWithin(
  milliseconds: number,
  work: Promise<unknown>,
): Promise<boolean> {
  const done = work.then(
    () => true,
    () => false,
  );
  return within(milliseconds, done, () => false);
}

const pollMs = 10;

/** Whether `isSo` becomes true in time; asked at once, and then again and again. */
export async function becomesSo(milliseconds: number, isSo: () => boolean): Promise<boolean> {
  const endMs = performance.now() + milliseconds;
  while (!isSo()) {
    if (performance.now() >= endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return true;
}

const stuckPollMs = 100;

/** Waits until `work` has ended, well or not, or `isStuck`: false then, and `work` goes on. */
export async function endsUnless(isStuck: () => boolean, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<boolean>((resolve) => {
    timer = setInterval(() => {
      if (isStuck()) resolve(false);
    }, stuckPollMs);
  });
  const ended = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([ended, stuck]);
  } finally {
    clearInterval(timer);
  }
}
