/** The progress bar of long calls; loaded only when someone can see it. */
import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from '../api/types.js';
import { formatSize } from '../units.js';

export class ProgressBar {
  readonly #bar: SingleBar;
  #started = false;
  #startedAtMs = 0;
  #startedAtBytes = 0;

  constructor(label: string) {
    this.#bar = new SingleBar(
      {
        stream: process.stderr,
        format: `${label} [{bar}] {percentage}% {value} of {total}, {rate}/s, {eta_formatted} left`,
        formatValue: (value, _options, type) =>
          type === 'value' || type === 'total' ? formatSize(value) : String(value),
        clearOnComplete: true,
        hideCursor: true,
        gracefulExit: false,
      },
      Presets.legacy,
    );
  }

  /** Draws the bar, from the first report on. */
  show({ done, total }: Progress): void {
    if (!this.#started) {
      this.#startedAtMs = performance.now();
      this.#startedAtBytes = done;
      this.#bar.start(total, done, { rate: formatSize(0) });
    }
    this.#started = true;
    this.#bar.update(done, { rate: this.#rate(done) });
  }

  /** Since the first report, in bytes a second. */
  #rate(done: number): string {
    const seconds = (performance.now() - this.#startedAtMs) / 1000;
    return formatSize(seconds === 0 ? 0 : Math.round((done - this.#startedAtBytes) / seconds));
  }

  stop(): void {
    if (this.#started) this.#bar.stop();
  }
}
