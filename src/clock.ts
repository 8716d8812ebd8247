/** Time, replaceable in tests. */
export interface Clock {
  /** Wall time, milliseconds since 1970. */
  nowMs(): number;
  /** CLOCK_BOOTTIME: counts while suspended, never set by anyone. Milliseconds. */
  bootTimeMs(): number;
}

/** The machine's time. `bootTimeMs` is the addon's, which this leaf must not load by itself. */
export function systemClock(bootTimeMs: () => number): Clock {
  return { nowMs: () => Date.now(), bootTimeMs };
}
