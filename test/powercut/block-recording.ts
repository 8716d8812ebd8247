/**
 * A disk that is recorded below a real filesystem with a state directory in it: what ext4 and XFS
 * make of what the services ask them for. A disk is one file of a recording, named `disk`.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import { mountOptions } from '../../dist/volume/filesystem.js';
import { tempDirectory, type Teardown } from '../support/temp.js';
import { eventually } from '../support/wait.js';
import type { Fact, History, Operation } from './history.js';
import type { Entered } from './judge.js';
import { buildBlockRecorder, openRecord } from './recorded.js';
import { finishRecording, recordChild, type Recording } from './recording.js';
import { blockRecorderEnvironment } from './recorders.js';

/**
 * What the disk writes whole: XFS takes its blocks of metadata to be written so, ext4 its superblock,
 * and neither comes back by itself when one was torn.
 */
const diskSectorBytes = 4096;

export interface DiskFilesystem {
  readonly name: 'ext4' | 'xfs';
  readonly sizeBytes: number;
  readonly mkfs: readonly [string, ...string[]];
}

/** XFS refuses to be smaller. Nothing is left to be done later, while nobody asks for it. */
export const diskFilesystems: readonly DiskFilesystem[] = [
  {
    name: 'ext4',
    sizeBytes: 96 << 20,
    mkfs: ['mkfs.ext4', '-q', '-F', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  },
  { name: 'xfs', sizeBytes: 300 << 20, mkfs: ['mkfs.xfs', '-q', '-s', 'size=4096'] },
];

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
    const served = await serve(this.#plugin, directory, disk, log);
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

interface Mounted {
  readonly root: string;
  readonly leave: () => Promise<void>;
}

async function mountDisk(path: string, at: string, filesystem: string): Promise<Mounted> {
  mkdirSync(at);
  const loop = await addon.attachLoop({ path, readOnly: false, sectorBytes: diskSectorBytes });
  const options = mountOptions(filesystem, false);
  try {
    await addon.mountFilesystem({
      source: loop,
      directory: at,
      filesystem,
      readOnly: false,
      options,
    });
  } catch (error) {
    await addon.detachLoop(loop);
    throw error;
  }
  const leave = async (): Promise<void> => {
    await addon.unmountFilesystem(at, false);
    await addon.detachLoop(loop);
  };
  return { root: at, leave };
}

interface Served {
  readonly path: string;
  readonly end: () => Promise<void>;
}

/** Shows the disk as a file whose every write and flush goes through the recorder. */
async function serve(
  plugin: string,
  directory: string,
  disk: string,
  log: string,
): Promise<Served> {
  const socket = join(directory, 'nbd');
  const server = spawn(
    'nbdkit',
    ['--foreground', '--unix', socket, plugin, `disk=${disk}`, `log=${log}`],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  await eventually(() => existsSync(socket));
  const at = join(directory, 'fuse');
  mkdirSync(at);
  const path = join(at, 'disk');
  const fuse = spawn('nbdfuse', [path, `nbd+unix:///?socket=${socket}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await eventually(() => existsSync(path));
  const end = async (): Promise<void> => {
    execFileSync('fusermount3', ['-u', at]);
    await endOf(fuse, 'nbdfuse');
    server.kill();
    await once(server, 'exit');
  };
  return { path, end };
}

async function endOf(child: ChildProcess, what: string): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`${what} failed with ${String(child.exitCode)}`);
}

function copySparse(from: string, to: string): void {
  execFileSync('cp', ['--sparse=always', from, to]);
}
