/** The progress bar of long calls; loaded only when someone can see it. */
import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from '../api/types.js';
import { formatSize } from '../units.js';

export class ProgressBar {
  readonly #bar: SingleBar;
  #started = false;

  constructor(label: string) {
    this.#bar = new SingleBar(
      {
        stream: process.stderr,
        format: `${label} [{bar}] {percentage}% {value} of {total}, {eta_formatted} left`,
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
    if (!this.#started) this.#bar.start(total, done);
    this.#started = true;
    this.#bar.update(done);
  }

  stop(): void {
    if (this.#started) this.#bar.stop();
  }
}
