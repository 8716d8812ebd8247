/** Where a run works: its directories, its shell, and how nothing of it is left behind. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findLeftovers, removeLeftovers } from '../build-scripts/leftovers.js';
import { Shell } from './shell.js';

/** A directory that holds the files below every system. */
export interface Backing {
  readonly name: 'RAM' | 'file';
  readonly directory: string;
}

export class Stage {
  /** Sockets and mount points; short, since paths of sockets have at most 107 bytes. */
  readonly work = mkdtempSync(join(tmpdir(), 'kvb-'));
  readonly shell = new Shell(this.work, this.work);
  readonly #files: string;
  #count = 0;

  constructor(backingDirectory: string) {
    mkdirSync(backingDirectory, { recursive: true });
    this.#files = mkdtempSync(join(resolve(backingDirectory), 'kvb-'));
    this.shell.log.name(process.cwd(), '.');
    this.shell.log.name(process.execPath, 'node');
    this.shell.log.name(this.work, '$WORK');
    this.shell.log.name(this.#files, '$FILE');
    // Not once: a Ctrl-C comes from the terminal and from npm, and the second would end the clearing.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        this.clear();
        process.exit(130);
      });
    }
  }

  /** A tmpfs of its own, and the given real directory. */
  async backings(): Promise<Backing[]> {
    const ram = join(this.work, 'ram');
    mkdirSync(ram);
    this.shell.log.name(ram, '$RAM');
    await this.shell.run('mount', '-t', 'tmpfs', '-o', 'size=90%,mode=700', 'keyvol-bench', ram);
    return [
      { name: 'RAM', directory: ram },
      { name: 'file', directory: this.#files },
    ];
  }

  /** A new directory below `parent`, which is the stage's own unless given. */
  directory(name: string, parent = this.work): string {
    const directory = join(parent, `${name}${++this.#count}`);
    mkdirSync(directory, { mode: 0o700 });
    return directory;
  }

  /** Gives the space of what has ended back, which is memory on RAM. */
  empty({ directory }: Backing): void {
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  }

  /** Ends and removes whatever is still there. Safe to repeat. */
  clear(): void {
    for (const directory of [this.#files, this.work]) {
      const place = { mark: this.work, directory };
      removeLeftovers(place, findLeftovers(place));
    }
    rmSync(this.#files, { recursive: true, force: true });
  }
}
