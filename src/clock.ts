/** Time, replaceable in tests. */
export interface Clock {
  /** Wall time, milliseconds since 1970. */
  nowMs(): number;
  /** CLOCK_BOOTTIME: counts while suspended, never set by anyone. Milliseconds. */
  bootTimeMs(): number;
}
