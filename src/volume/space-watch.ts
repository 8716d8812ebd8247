/** Tells once of every disk whose writes wait for space, and when they go on. */
import { Fault } from '../fault.js';
import type { DiskContext } from './context.js';
import { endsUnless } from './deadline.js';
import type { LiveDisk } from './live-disk.js';

const everyMs = 1000;

/** What is told of an attached disk that waits. */
export function fullReason(context: Pick<DiskContext, 'layers'>, sinceMs: number): string {
  const since = new Date(sinceMs).toISOString();
  return `the filesystem of ${context.layers.directory} is full: its writes wait since ${since}`;
}

export const fullCure = 'free some space there; its writes then go on by themselves';

/** Throws NO_SPACE while writes of the disk wait for space. */
export function assertNotFull(context: DiskContext, live: LiveDisk | undefined): void {
  const sinceMs = live?.device?.stats().fullSinceMs;
  if (live === undefined || sinceMs === undefined) return;
  const reason = fullReason(context, sinceMs);
  throw new Fault('NO_SPACE', `${live.kind} ${live.name} is paused: ${reason}`, { hint: fullCure });
}

/** Whether writes of the disk wait for space. */
export function isFull(live: LiveDisk): boolean {
  return live.device?.stats().fullSinceMs !== undefined;
}

/** Waits until `work` has ended, well or not, or writes of the disk wait for space: false then. */
export function endsUnlessFull(live: LiveDisk, work: Promise<unknown>): Promise<boolean> {
  return endsUnless(() => isFull(live), work);
}

/** Looks every second; the caller calls what it returns to end that. */
export function watchSpace(context: DiskContext): () => void {
  const waiting = new Map<string, string>();
  const timer = setInterval(() => look(context, waiting), everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function look(context: DiskContext, waiting: Map<string, string>): void {
  for (const [id, live] of context.live) {
    const sinceMs = live.device?.stats().fullSinceMs;
    if (sinceMs === undefined || waiting.has(id)) continue;
    const name = `${live.kind} ${live.name}`;
    waiting.set(id, name);
    context.warn(`${name} is paused: ${fullReason(context, sinceMs)}; ${fullCure}`);
  }
  for (const [id, name] of waiting) {
    const live = context.live.get(id);
    if (live?.device?.stats().fullSinceMs !== undefined) continue;
    waiting.delete(id);
    const isOpen = live?.isOpen === true;
    context.warn(isOpen ? `${name} goes on: there is space again` : `${name} waits no longer`);
  }
}
