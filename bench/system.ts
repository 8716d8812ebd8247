/** The contract of everything that is measured beside keyvol, and of keyvol. */
import type { Stage } from './stage.js';

export interface Place {
  readonly stage: Stage;
  /** Where the data lies. */
  readonly directory: string;
  readonly sizeBytes: number;
}

export interface RunningSystem {
  /** A file of `sizeBytes` to read and write. */
  readonly path: string;
  /** The processes whose time and memory count. */
  readonly pids: readonly number[];
  /** Stops serving. The caller removes the files. */
  end(): Promise<void>;
}

export interface System {
  readonly name: string;
  /** Whether a filesystem in its file is measured as well. */
  readonly takesFilesystem: boolean;
  /** Why it cannot run here at all; a missing Debian package is no such reason. */
  whyNot(): string | undefined;
  start(place: Place): Promise<RunningSystem>;
}

export interface RunningExport {
  /** Of an NBD export of `sizeBytes`. */
  readonly uri: string;
  readonly pids: readonly number[];
  /** As of RunningSystem. */
  end(): Promise<void>;
}

/** As System, over NBD. */
export interface Exporter {
  readonly name: string;
  start(place: Place): Promise<RunningExport>;
}
