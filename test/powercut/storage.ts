/**
 * Storage as POSIX promises it, and no better: a write lasts when its file was flushed, a name
 * when its directory was. What is pending may be lost or kept, each operation for itself, and a
 * write in part. SQLite's rule for its own files is the same one: it flushes the directory of a
 * journal that it makes. A -shm file is not state: SQLite makes it anew.
 */
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Content } from './content.js';
import type { Recorded } from './recorded.js';

interface Directory {
  readonly kind: 'directory';
  /** As programs see it, and as it would be after a cut that loses all it may. */
  readonly entries: Map<string, Node>;
  readonly kept: Map<string, Node>;
}

interface File {
  readonly kind: 'file';
  kept: Content;
}

type Node = Directory | File;

/** What one operation does to names: `undefined` takes the name away. */
interface NameChange {
  readonly kind: 'names';
  readonly changes: readonly {
    readonly directory: Directory;
    readonly name: string;
    readonly node: Node | undefined;
  }[];
  readonly text: string;
}

interface DataChange {
  readonly kind: 'data';
  readonly file: File;
  readonly change: Extract<Recorded, { kind: 'write' | 'truncate' | 'zero' | 'extend' }>;
  readonly text: string;
}

export type Pending = NameChange | DataChange;

/** How much of a pending operation lasts. Bytes count from the start of a write. */
export type Extent = 'all' | { readonly fromBytes: number; readonly toBytes: number };
export type Choice = ReadonlyMap<Pending, Extent>;

/** A tree of files that a cut left. */
export interface Tree {
  /** Two trees have the same only when they hold the same. */
  readonly print: string;
  readonly directories: readonly string[];
  readonly files: ReadonlyMap<string, Content>;
}

export class Storage {
  readonly #root: Directory = newDirectory();
  readonly #byNumber = new Map<number, Node>();
  /** What is written to these is not followed. */
  readonly #stateless = new Set<Node>();
  #pending: Pending[] = [];

  /** Storage that holds, safely, what is in a directory now. */
  static of(path: string): Storage {
    const storage = new Storage();
    load(storage.#root, path);
    return storage;
  }

  /** In the order in which they were done. */
  get pending(): readonly Pending[] {
    return this.#pending;
  }

  /** Does what was recorded. */
  feed(record: Recorded): void {
    switch (record.kind) {
      case 'open':
        this.#byNumber.set(record.file, this.#find(record.path));
        return;
      case 'create': {
        const file: File = { kind: 'file', kept: new Content() };
        this.#byNumber.set(record.file, file);
        if (record.path.endsWith('-shm')) this.#stateless.add(file);
        this.#rename(record.kind, [[record.path, file]]);
        return;
      }
      case 'mkdir':
        this.#rename(record.kind, [[record.path, newDirectory()]]);
        return;
      case 'unlink':
        this.#rename(record.kind, [[record.path, undefined]]);
        return;
      case 'link':
        this.#rename(record.kind, [[record.to, this.#find(record.path)]]);
        return;
      case 'rename':
        this.#rename(record.kind, [
          [record.path, undefined],
          [record.to, this.#find(record.path)],
        ]);
        return;
      case 'write':
      case 'truncate':
      case 'zero':
      case 'extend':
        this.#change(record);
        return;
      case 'sync':
        this.#keep((pending) => concerns(pending, this.#node(record.file)));
        return;
      case 'failed-sync': {
        const node = this.#node(record.file);
        this.#pending = this.#pending.filter((pending) => !concerns(pending, node));
        return;
      }
      case 'sync-all':
        this.#keep(() => true);
        return;
      case 'mark':
    }
  }

  /** What is left when of the pending operations only those of `choice` last. */
  cut(choice: Choice): Tree {
    const names = new Map<Directory, Map<string, Node>>();
    const contents = new Map<File, Content>();
    for (const pending of this.#pending) {
      const extent = choice.get(pending);
      if (extent === undefined) continue;
      if (pending.kind === 'data') {
        const content = contents.get(pending.file) ?? pending.file.kept.copy();
        contents.set(pending.file, content);
        applyData(content, pending, extent);
      } else {
        for (const { directory, name, node } of pending.changes) {
          const entries = names.get(directory) ?? new Map(directory.kept);
          names.set(directory, entries);
          setEntry(entries, name, node);
        }
      }
    }
    return treeOf(this.#root, names, contents);
  }

  #rename(what: string, changes: readonly (readonly [string, Node | undefined])[]): void {
    const located = changes.map(([path, node]) => {
      const parts = path.split('/');
      const name = parts.pop() ?? '';
      const directory = this.#find(parts.join('/'));
      if (directory.kind !== 'directory') throw new Error(`${path} is in no directory`);
      setEntry(directory.entries, name, node);
      return { directory, name, node };
    });
    const text = `${what} ${changes.map(([path]) => path).join(' ')}`;
    this.#pending.push({ kind: 'names', changes: located, text });
  }

  #change(change: DataChange['change']): void {
    const file = this.#node(change.file);
    if (file.kind !== 'file') throw new Error('a directory was written to');
    if (this.#stateless.has(file)) return;
    const at = 'offsetBytes' in change ? change.offsetBytes : change.sizeBytes;
    this.#pending.push({ kind: 'data', file, change, text: `${change.kind} at ${at}` });
  }

  #keep(lasts: (pending: Pending) => boolean): void {
    for (const pending of this.#pending.filter(lasts)) {
      if (pending.kind === 'data') applyData(pending.file.kept, pending, 'all');
      else
        for (const { directory, name, node } of pending.changes)
          setEntry(directory.kept, name, node);
    }
    this.#pending = this.#pending.filter((pending) => !lasts(pending));
  }

  #node(number: number): Node {
    const node = this.#byNumber.get(number);
    if (node === undefined) throw new Error(`file ${number} was never opened`);
    return node;
  }

  #find(path: string): Node {
    let node: Node = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const next: Node | undefined = node.kind === 'directory' ? node.entries.get(name) : undefined;
      if (next === undefined) throw new Error(`there was no ${path}`);
      node = next;
    }
    return node;
  }
}

/** Writes a tree into an empty directory. */
export function saveTree({ directories, files }: Tree, path: string): void {
  for (const directory of directories) mkdirSync(join(path, directory), { mode: 0o700 });
  for (const [name, content] of files) content.save(join(path, name));
}

function newDirectory(): Directory {
  return { kind: 'directory', entries: new Map(), kept: new Map() };
}

function setEntry(entries: Map<string, Node>, name: string, node: Node | undefined): void {
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}

function concerns(pending: Pending, node: Node): boolean {
  if (pending.kind === 'data') return pending.file === node;
  return pending.changes.some(({ directory }) => directory === node);
}

function applyData(content: Content, { change }: DataChange, extent: Extent): void {
  switch (change.kind) {
    case 'write': {
      const { bytes, offsetBytes } = change;
      // A file may have grown without its data.
      content.extend(offsetBytes + bytes.length);
      const { fromBytes, toBytes } =
        extent === 'all' ? { fromBytes: 0, toBytes: bytes.length } : extent;
      content.write(offsetBytes + fromBytes, bytes.subarray(fromBytes, toBytes));
      return;
    }
    case 'truncate':
      content.truncate(change.sizeBytes);
      return;
    case 'extend':
      content.extend(change.sizeBytes);
      return;
    case 'zero':
      content.zero(change.offsetBytes, change.lengthBytes);
  }
}

function load(directory: Directory, path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    const node: Node = entry.isDirectory()
      ? newDirectory()
      : { kind: 'file', kept: contentOf(readFileSync(below)) };
    if (node.kind === 'directory') load(node, below);
    directory.entries.set(entry.name, node);
    directory.kept.set(entry.name, node);
  }
}

function contentOf(bytes: Buffer): Content {
  const content = new Content();
  content.write(0, bytes);
  return content;
}

function treeOf(
  root: Directory,
  names: ReadonlyMap<Directory, ReadonlyMap<string, Node>>,
  contents: ReadonlyMap<File, Content>,
): Tree {
  const directories: string[] = [];
  const files = new Map<string, Content>();
  const walk = (directory: Directory, prefix: string): void => {
    for (const [name, node] of names.get(directory) ?? directory.kept) {
      const path = `${prefix}${name}`;
      if (node.kind === 'directory') {
        directories.push(path);
        walk(node, `${path}/`);
      } else if (!name.endsWith('-shm')) {
        files.set(path, contents.get(node) ?? node.kept);
      }
    }
  };
  walk(root, '');
  const prints = [...files].map(([path, content]) => `${path} ${content.print}`);
  return { print: [...directories, ...prints].sort().join('\n'), directories, files };
}
