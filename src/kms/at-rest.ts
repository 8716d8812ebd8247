/** Work on the way to whose end something comes to rest, which others wait for. */

export interface Resting<Result> {
  /** Never rejects: work that has failed has nothing left to bring to rest. */
  readonly atRest: Promise<void>;
  readonly done: Promise<Result>;
}

/** `start` calls what it is given when it is at rest; its end counts as that at the latest. */
export function resting<Result>(start: (atRest: () => void) => Promise<Result>): Resting<Result> {
  let rested = (): void => undefined;
  const atRest = new Promise<void>((resolve) => {
    rested = resolve;
  });
  const done = start(rested).finally(rested);
  return { atRest, done };
}
