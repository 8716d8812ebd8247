/** What systemd hears of the daemon: sd_notify(3). Without systemd, nothing is sent. */
import type { Addon } from '../device/index.js';
import type { Log } from '../log.js';

export class ServiceManager {
  readonly #addon: Pick<Addon, 'notifyServiceManager'>;
  readonly #log: Pick<Log, 'warn'>;

  constructor(addon: Pick<Addon, 'notifyServiceManager'>, log: Pick<Log, 'warn'>) {
    this.#addon = addon;
    this.#log = log;
  }

  /** From now on it also hears twice a watchdog period that the daemon lives, if `notAlive` is empty. */
  tellReady(notAlive: () => Promise<readonly string[]>): void {
    if (!this.#tell('READY=1\nSTATUS=serving')) return;
    const periodMs = watchdogPeriodMs(process.env);
    if (periodMs === undefined) return;
    const look = async (): Promise<void> => {
      const reasons = await notAlive();
      this.#tell(reasons.length === 0 ? 'WATCHDOG=1' : `STATUS=${reasons.join('; ')}`);
    };
    setInterval(() => void look(), periodMs / 2).unref();
  }

  tellStopping(): void {
    this.#tell('STOPPING=1\nSTATUS=stopping');
  }

  /** The daemon goes on whether or not it is heard. */
  #tell(message: string): boolean {
    try {
      return this.#addon.notifyServiceManager(message);
    } catch (error) {
      this.#log.warn({ err: error }, 'the service manager cannot be told');
      return false;
    }
  }
}

/** sd_watchdog_enabled(3): only meant for this process when WATCHDOG_PID is it. */
function watchdogPeriodMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
  const periodMs = Number(WATCHDOG_USEC) / 1000;
  return periodMs > 0 ? periodMs : undefined;
}
