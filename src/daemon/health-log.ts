/** Tells the log when a disk stops being well, and when it is well again. */
import type { Log } from '../log.js';
import type { UnwellDisk } from '../volume/health.js';

export class HealthLog {
  readonly #log: Pick<Log, 'info' | 'warn'>;
  readonly #unwell: () => readonly UnwellDisk[];
  #known = new Map<string, UnwellDisk>();

  constructor(log: Pick<Log, 'info' | 'warn'>, unwell: () => readonly UnwellDisk[]) {
    this.#log = log;
    this.#unwell = unwell;
  }

  /** Logs what has changed since the last call. */
  look(): void {
    const now = new Map(this.#unwell().map((disk) => [`${disk.kind} ${disk.name}`, disk]));
    for (const [title, { state, reason, cure }] of now) {
      const before = this.#known.get(title);
      if (before?.state === state && before.reason === reason) continue;
      this.#log.warn({ disk: title, health: state, reason, cure }, `${title} ${state}: ${reason}`);
    }
    for (const title of this.#known.keys()) {
      if (!now.has(title)) this.#log.info({ disk: title, health: 'ok' }, `${title} is well again`);
    }
    this.#known = now;
  }
}
