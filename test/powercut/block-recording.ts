/**
 * A disk that is recorded below a real filesystem with a state directory in it: what ext4 and XFS
 * make of what the services ask them for. A disk is one file of a recording, named `disk`.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskSectorBytes, mountDisk, serveDisk, type DiskFilesystem } from '../support/nbd-disk.js';
import { tempDirectory, type Teardown } from '../support/temp.js';
import type { Fact, History, Operation } from './history.js';
import type { Entered } from './judge.js';
import { buildBlockRecorder, openRecord } from './recorded.js';
import { finishRecording, recordChild, type Recording } from './recording.js';
import { blockRecorderEnvironment } from './recorders.js';

/** Mounts the disk that was laid out at `place`. */
export async function enterDisk(place: string, filesystem: string): Promise<Entered> {
  const { root, leave } = await mountDisk(join(place, 'disk'), join(place, 'mnt'), filesystem);
  return { stateDir: join(root, 'state'), leave };
}

export class BlockStudio {
  readonly #t: Teardown;
  readonly #plugin: string;
  readonly #filesystem: DiskFilesystem;

  constructor(t: Teardown, filesystem: DiskFilesystem) {
    this.#t = t;
    this.#plugin = buildBlockRecorder(tempDirectory(t));
    this.#filesystem = filesystem;
  }

  /** On a copy of the file `disk`; without one, on a fresh filesystem. */
  async record(
    operations: readonly Operation[],
    begin?: { readonly disk: string; readonly history: History },
  ): Promise<Recording> {
    const directory = tempDirectory(this.#t);
    for (const name of ['root', 'start']) mkdirSync(join(directory, name));
    const disk = join(directory, 'root', 'disk');
    if (begin === undefined) this.#makeFilesystem(disk);
    else copySparse(begin.disk, disk);
    copySparse(disk, join(directory, 'start', 'disk'));
    const log = join(directory, 'log');
    writeFileSync(log, openRecord(1, 'disk'));
    const served = await serveDisk(this.#t, directory, this.#plugin, `disk=${disk}`, `log=${log}`);
    try {
      await this.#perform(operations, directory, served.path);
    } finally {
      await served.end();
    }
    const before: readonly Fact[] = begin?.history ?? [];
    return finishRecording(directory, diskSectorBytes, before);
  }

  #makeFilesystem(disk: string): void {
    writeFileSync(disk, '');
    truncateSync(disk, this.#filesystem.sizeBytes);
    const [program, ...args] = this.#filesystem.mkfs;
    execFileSync(program, [...args, disk]);
  }

  async #perform(operations: readonly Operation[], directory: string, disk: string): Promise<void> {
    const at = join(directory, 'mnt');
    const { root, leave } = await mountDisk(disk, at, this.#filesystem.name);
    try {
      const child = spawn(process.execPath, [recordChild, JSON.stringify(operations), 'false'], {
        env: blockRecorderEnvironment(root, directory),
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      await endOf(child, 'the workload');
    } finally {
      await leave();
    }
  }
}

async function endOf(child: ChildProcess, what: string): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`${what} failed with ${String(child.exitCode)}`);
}

function copySparse(from: string, to: string): void {
  execFileSync('cp', ['--sparse=always', from, to]);
}
