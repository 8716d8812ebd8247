/** Waiting for what other processes do. */
import { setTimeout as sleep } from 'node:timers/promises';

const withinMs = 20_000;
const pollMs = 20;

/** Throws when `condition` has not become true within 20 seconds. */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`never became true: ${String(condition)}`);
    await sleep(pollMs);
  }
}
