/** A keyvol daemon of its own, driven by the CLI or as the CLI drives it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '../dist/api/client.js';
import { resolveDirectories } from '../dist/api/directories.js';
import type { DaemonClient } from '../dist/api/types.js';
import { processesWith } from './processes.js';
import type { Stage } from './stage.js';

const cli = 'dist/cli/main.js';

export class KeyvolDaemon {
  readonly client: DaemonClient;

  private constructor(
    private readonly stage: Stage,
    private readonly stateDir: string,
    private readonly runtimeDir: string,
  ) {
    this.client = createClient(resolveDirectories({ stateDir, runtimeDir }, {}).socketPath);
  }

  /** Its containers lie below `directory`. */
  static async start(stage: Stage, directory: string): Promise<KeyvolDaemon> {
    const stateDir = join(directory, 'state');
    mkdirSync(stateDir, { mode: 0o700 });
    const daemon = new KeyvolDaemon(stage, stateDir, stage.directory('keyvol'));
    await daemon.keyvol('daemon', 'start');
    return daemon;
  }

  async keyvol(...args: string[]): Promise<string> {
    const directories = ['--state-dir', this.stateDir, '--runtime-dir', this.runtimeDir];
    const program = join(process.cwd(), cli);
    return await this.stage.shell.run(process.execPath, program, ...directories, ...args);
  }

  /** The daemon and the holder of its mount. */
  pids(): number[] {
    return processesWith(this.runtimeDir);
  }

  volumePath(name: string): string {
    return join(this.runtimeDir, 'disks', 'volumes', name);
  }

  /** As one that has done nothing yet. */
  async startAfresh(): Promise<void> {
    await this.stop();
    await this.keyvol('daemon', 'start');
  }

  async stop(): Promise<void> {
    await this.keyvol('daemon', 'stop');
  }
}
