/** Durable records in SQLite (WAL, synchronous=FULL), written by one worker thread with group commit. */

export type SqlValue = string | number | bigint | Buffer | null;

export interface Statement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

export interface StoreOptions {
  readonly path: string;
  /** migrations[n] brings version n to n + 1; the version is `PRAGMA user_version`. */
  readonly migrations: readonly string[];
  /** Tables that only grow, too large to be checked at each start. */
  readonly logs?: readonly string[];
}

/** Requests of callers that the writer thread has not answered. */
export interface Backlog {
  readonly waiting: number;
  /** For how long the oldest has waited; 0 when none does. */
  readonly oldestMs: number;
}

export interface Store {
  /**
   * All statements in one transaction, durable when the promise resolves. Commits that arrive
   * together share one fsync; each succeeds or fails alone. Throws NO_SPACE, IO_ERROR.
   */
  commit(statements: readonly Statement[]): Promise<void>;
  /** Reads what is committed, on the calling thread. */
  all<Row>(sql: string, ...params: SqlValue[]): Row[];
  get<Row>(sql: string, ...params: SqlValue[]): Row | undefined;
  /** What `read` reads is of one moment, whatever is committed meanwhile. It must not wait. */
  atOneMoment<Result>(read: () => Result): Result;
  /** Truncates the write-ahead log, so that deleted rows (secure_delete) are gone from the disk. */
  scrub(): Promise<void>;
  backlog(): Backlog;
  close(): Promise<void>;
}
