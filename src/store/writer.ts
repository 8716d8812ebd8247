/** The writer thread: the only owner of the read-write connection. Commits in groups. */
import type Database from 'better-sqlite3';
import { isMainThread, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openDatabase } from './database.js';
import { packFault, readyId } from './messages.js';
import { Reserve } from './reserve.js';
import { endsTransaction, isOutOfSpace, storeFault } from './sqlite-fault.js';
import type { Reply, Request, WriterOptions } from './messages.js';
import type { MessagePort } from 'node:worker_threads';
import type { Statement } from './store.js';

type CommitRequest = Extract<Request, { kind: 'commit' }>;

/** Turns requests into replies on one connection. */
class Writer {
  readonly #path: string;
  readonly #database: Database.Database;
  readonly #reserve: Reserve;
  readonly #prepared = new Map<string, Database.Statement>();

  constructor(options: WriterOptions) {
    this.#path = options.path;
    this.#reserve = new Reserve(`${options.path}.reserve`);
    this.#database = openDatabase(options, this.#reserve);
  }

  /** One transaction for all of `group`; each request fails alone unless the commit itself does. */
  commit(group: readonly CommitRequest[]): Reply[] {
    try {
      const replies = this.#withReserve(() => this.#transaction(group));
      this.#reserve.retake();
      return replies;
    } catch (error) {
      const fault = packFault(storeFault(error, this.#path));
      return group.map(({ id }) => ({ id, fault }));
    }
  }

  scrub(id: number): Reply {
    try {
      this.#withReserve(() => this.#checkpoint());
      return { id };
    } catch (error) {
      return { id, fault: packFault(storeFault(error, this.#path)) };
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Runs `work`; when space runs out, once more with the space that was held back. */
  #withReserve<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (!isOutOfSpace(error) || !this.#reserve.release()) throw error;
      return work();
    }
  }

  #transaction(group: readonly CommitRequest[]): Reply[] {
    this.#run('BEGIN IMMEDIATE');
    try {
      const replies = group.map((request) => this.#execute(request));
      this.#run('COMMIT');
      return replies;
    } catch (error) {
      // SQLite has rolled back by itself after some errors and not after others.
      if (this.#database.inTransaction) this.#run('ROLLBACK');
      throw error;
    }
  }

  #execute({ id, statements }: CommitRequest): Reply {
    this.#run('SAVEPOINT request');
    try {
      for (const statement of statements) this.#apply(statement);
      this.#run('RELEASE request');
      return { id };
    } catch (error) {
      if (endsTransaction(error) || !this.#database.inTransaction) throw error;
      this.#run('ROLLBACK TO request');
      this.#run('RELEASE request');
      return { id, fault: packFault(storeFault(error, this.#path)) };
    }
  }

  #apply({ sql, params }: Statement): void {
    this.#prepare(sql).run(...params);
  }

  #run(sql: string): void {
    this.#prepare(sql).run();
  }

  #prepare(sql: string): Database.Statement {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }

  #checkpoint(): void {
    const busy = this.#database.pragma('wal_checkpoint(TRUNCATE)', { simple: true });
    if (busy === 0) return;
    throw Object.assign(new Error('the write-ahead log is in use'), { code: 'SQLITE_BUSY' });
  }
}

/** Everything that is waiting now, the first one included, in the order it was sent. */
function waiting(port: MessagePort, first: Request): Request[] {
  const requests = [first];
  for (;;) {
    const next = receiveMessageOnPort(port);
    if (next === undefined) return requests;
    // Only openStore writes to this port, and it sends Requests.
    requests.push(next.message as Request);
  }
}

function answer(port: MessagePort, writer: Writer, requests: readonly Request[]): void {
  let group: CommitRequest[] = [];
  const commitGroup = (): void => {
    if (group.length > 0) writer.commit(group).forEach((reply) => port.postMessage(reply));
    group = [];
  };
  for (const request of requests) {
    if (request.kind === 'commit') {
      group.push(request);
      continue;
    }
    commitGroup();
    if (request.kind === 'scrub') port.postMessage(writer.scrub(request.id));
    if (request.kind === 'close') closeWriter(port, writer, request.id);
  }
  commitGroup();
}

function closeWriter(port: MessagePort, writer: Writer, id: number): void {
  writer.close();
  port.postMessage({ id } satisfies Reply);
  port.close();
}

function main(port: MessagePort, options: WriterOptions): void {
  try {
    const writer = new Writer(options);
    port.on('message', (first: Request) => answer(port, writer, waiting(port, first)));
    port.postMessage({ id: readyId } satisfies Reply);
  } catch (error) {
    port.postMessage({ id: readyId, fault: packFault(storeFault(error, options.path)) });
    port.close();
  }
}

if (!isMainThread && parentPort !== null) {
  // openStore is the only one to start this file, and gives WriterOptions.
  main(parentPort, workerData as WriterOptions);
}
