/** The files and open handles of one portable FUSE mount. */
import { Fault } from '../fault.js';
import type { FuseFile } from './transport.js';

interface OpenHandle {
  readonly file: FuseFile;
  readonly forWriting: boolean;
  revoked: boolean;
}

export class PortableTree {
  readonly #files = new Map<string, FuseFile>();
  readonly #exclusive = new Set<string>();
  readonly #handles = new Map<number, OpenHandle>();
  #nextHandle = 1;
  #running = 0;
  #whenIdle: (() => void)[] = [];

  /** Throws FILE_EXISTS when the id or the name in its directory is taken. */
  add(file: FuseFile): void {
    if (this.#files.has(file.id)) {
      throw new Fault('FILE_EXISTS', `disk ${file.id} is already exported`);
    }
    this.#refuseTaken(file.directory, file.name);
    this.#files.set(file.id, file);
  }

  /** Throws FILE_NOT_FOUND, FILE_EXISTS. */
  rename(id: string, name: string): void {
    const file = this.#known(id);
    if (file.name === name) return;
    this.#refuseTaken(file.directory, name);
    const renamed = { ...file, name };
    this.#files.set(id, renamed);
  }

  /** Its handles answer EIO from now on. Throws FILE_NOT_FOUND. */
  remove(id: string): void {
    this.#known(id);
    this.revoke(id);
    this.#exclusive.delete(id);
    this.#files.delete(id);
  }

  openHandles(id: string): number {
    return this.#handlesOf(id).length;
  }

  writers(id: string): number {
    return this.#handlesOf(id).filter(({ forWriting }) => forWriting).length;
  }

  setExclusive(id: string, exclusive: boolean): void {
    if (exclusive) this.#exclusive.add(this.#known(id).id);
    else this.#exclusive.delete(id);
  }

  /** Whether the one writer of an exclusive file is there already. */
  isTaken(id: string): boolean {
    return this.#exclusive.has(id) && this.writers(id) > 0;
  }

  revoke(id: string): void {
    for (const handle of this.#handles.values()) {
      if (handle.file.id === id) handle.revoked = true;
    }
  }

  fileById(id: string): FuseFile | undefined {
    return this.#files.get(id);
  }

  fileByPath(path: string): FuseFile | undefined {
    return [...this.#files.values()].find((file) => `/${file.directory}/${file.name}` === path);
  }

  namesIn(directory: string): string[] {
    return this.all()
      .filter((file) => file.directory === directory)
      .map((file) => file.name);
  }

  all(): FuseFile[] {
    return [...this.#files.values()];
  }

  /** A new handle, never 0. */
  open(file: FuseFile, forWriting: boolean): number {
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    this.#handles.set(handle, { file, forWriting, revoked: false });
    return handle;
  }

  release(handle: number): void {
    this.#handles.delete(handle);
  }

  /** The file behind a handle; undefined when it was revoked or its file removed. */
  fileOfHandle(handle: number): FuseFile | undefined {
    const open = this.#handles.get(handle);
    return open === undefined || open.revoked ? undefined : open.file;
  }

  /** Runs a request; `idle()` waits for those that are running. */
  async request<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      if (this.#running === 0) for (const wake of this.#whenIdle.splice(0)) wake();
    }
  }

  async idle(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  #handlesOf(id: string): OpenHandle[] {
    return [...this.#handles.values()].filter(({ file, revoked }) => file.id === id && !revoked);
  }

  #known(id: string): FuseFile {
    const file = this.#files.get(id);
    if (file === undefined) throw new Fault('FILE_NOT_FOUND', `disk ${id} is not exported`);
    return file;
  }

  #refuseTaken(directory: FuseFile['directory'], name: string): void {
    if (this.fileByPath(`/${directory}/${name}`) !== undefined) {
      throw new Fault('FILE_EXISTS', `a disk named ${name} is already exported`);
    }
  }
}
