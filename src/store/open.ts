/** The calling thread's side of a store: reads here, sends writes to the writer thread. */
import Database from 'better-sqlite3';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Fault } from '../fault.js';
import { readyId, unpackFault } from './messages.js';
import { storeFault } from './sqlite-fault.js';
import type { Reply, Request } from './messages.js';
import type { Backlog, SqlValue, Statement, Store, StoreOptions } from './store.js';

interface Pending {
  readonly sinceMs: number;
  readonly resolve: () => void;
  readonly reject: (fault: Fault) => void;
}

/** A request before it gets its number. */
type Ask =
  | { readonly kind: 'commit'; readonly statements: readonly Statement[] }
  | { readonly kind: 'scrub' | 'close' };

/**
 * Opens the database, making or migrating it as needed. The files get mode 0600, and a reserve
 * file of 1 MiB beside it keeps space for records. Throws STATE_DIR_NEWER, STATE_DIR_UNUSABLE,
 * NO_SPACE, IO_ERROR. The caller closes the store.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const path = resolve(options.path);
  const writer = new WriterThread({ ...options, path });
  await writer.ready();
  try {
    return new SqliteStore(path, writer);
  } catch (error) {
    await writer.end();
    throw storeFault(error, path);
  }
}

/** Sends requests to the worker and pairs them with their replies. */
class WriterThread {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #ready: Promise<void>;
  #lastId = readyId;
  #ended: Promise<void> | undefined;
  #gone = false;

  constructor(options: StoreOptions) {
    this.#path = options.path;
    this.#worker = new Worker(new URL('./writer.js', import.meta.url), {
      workerData: options,
      // Flags like --eval or --input-type are meant for the caller's program only.
      execArgv: [],
    });
    this.#ready = this.#expect(readyId);
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(undefined));
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  ask(request: Ask): Promise<void> {
    if (this.#gone || this.#ended !== undefined) return Promise.reject(this.#closedFault());
    return this.#send(request);
  }

  backlog(): Backlog {
    // In the order of their numbers, so the first is the oldest.
    const [oldest] = this.#pending.values();
    const oldestMs = oldest === undefined ? 0 : performance.now() - oldest.sinceMs;
    return { waiting: this.#pending.size, oldestMs };
  }

  /** Lets what was sent before finish, then ends the thread. Safe to repeat. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    if (this.#gone) return;
    const exited = new Promise((done) => this.#worker.once('exit', done));
    await this.#send({ kind: 'close' });
    await exited;
  }

  #send(request: Ask): Promise<void> {
    const id = ++this.#lastId;
    const answered = this.#expect(id);
    this.#worker.postMessage({ id, ...request } satisfies Request);
    return answered;
  }

  #expect(id: number): Promise<void> {
    const sinceMs = performance.now();
    return new Promise((done, reject) => this.#pending.set(id, { sinceMs, resolve: done, reject }));
  }

  #settle({ id, fault }: Reply): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (fault === undefined) pending?.resolve();
    else pending?.reject(unpackFault(fault));
  }

  #fail(cause: unknown): void {
    this.#gone = true;
    for (const { reject } of this.#pending.values()) reject(this.#closedFault(cause));
    this.#pending.clear();
  }

  #closedFault(cause?: unknown): Fault {
    return new Fault('INTERNAL', `the store ${this.#path} is closed`, { cause });
  }
}

class SqliteStore implements Store {
  readonly #path: string;
  readonly #reader: Database.Database;
  readonly #writer: WriterThread;
  readonly #prepared = new Map<string, Database.Statement>();

  constructor(path: string, writer: WriterThread) {
    this.#path = path;
    this.#writer = writer;
    this.#reader = new Database(path, { readonly: true, fileMustExist: true });
  }

  commit(statements: readonly Statement[]): Promise<void> {
    return this.#writer.ask({ kind: 'commit', statements: statements.map(detached) });
  }

  all<Row>(sql: string, ...params: SqlValue[]): Row[] {
    // The caller names the columns in `sql` and their types in `Row`, side by side.
    return this.#read((): unknown[] => this.#prepare(sql).all(...params)) as Row[];
  }

  get<Row>(sql: string, ...params: SqlValue[]): Row | undefined {
    // As in `all`.
    return this.#read((): unknown => this.#prepare(sql).get(...params)) as Row | undefined;
  }

  atOneMoment<Result>(read: () => Result): Result {
    return this.#read(() => this.#reader.transaction(read)());
  }

  scrub(): Promise<void> {
    return this.#writer.ask({ kind: 'scrub' });
  }

  backlog(): Backlog {
    return this.#writer.backlog();
  }

  async close(): Promise<void> {
    // The reader first, so that the writer is the last one and tidies the log away.
    this.#reader.close();
    await this.#writer.end();
  }

  #read<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw storeFault(error, this.#path);
    }
  }

  #prepare(sql: string): Database.Statement {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#reader.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

/** With buffers of their own: a clone of a pooled buffer would carry the whole pool along. */
function detached({ sql, params }: Statement): Statement {
  return { sql, params: params.map((value) => (Buffer.isBuffer(value) ? copied(value) : value)) };
}

function copied(bytes: Buffer): Buffer {
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}
