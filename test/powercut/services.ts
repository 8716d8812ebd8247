/** All that a daemon opens over a state directory, without its mount, its lock and its socket. */
import type Database from 'better-sqlite3';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { markStateDir, prepareStateDir } from '../../dist/daemon/state-dir.js';
import { addon } from '../../dist/device/index.js';
import type { Device, FuseFile, FuseSession } from '../../dist/device/index.js';
import { systemClock } from '../../dist/clock.js';
import { DiskRecords } from '../../dist/disk/disk-records.js';
import { LayerFiles } from '../../dist/disk/layers.js';
import { diskMigrations } from '../../dist/disk/migrations.js';
import { openDisks, type Disks } from '../../dist/image/disks.js';
import type { KeyService } from '../../dist/kms/key-service.js';
import { openKeyService } from '../../dist/kms/keys.js';
import { keysDatabaseMigrations } from '../../dist/kms/migrations.js';
import { openDatabase } from '../../dist/store/database.js';
import { openStore } from '../../dist/store/open.js';
import { Reserve } from '../../dist/store/reserve.js';
import type { Backlog, SqlValue, Statement, Store, StoreOptions } from '../../dist/store/store.js';

export const caller = { principal: 'power-cut' };

/**
 * Attached disks without a mount: what would be written through their files goes to `devices`, by
 * the name of the disk.
 */
export class DirectSession {
  readonly mountPoint: string;
  readonly kept = false;
  readonly isHeld = false;
  readonly devices = new Map<string, Device>();
  readonly #names = new Map<string, string>();

  constructor(mountPoint: string) {
    this.mountPoint = mountPoint;
  }

  keep(): readonly number[] {
    return [];
  }

  serve(): void {
    // There is no mount.
  }

  frozen(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  entrust(): Promise<void> {
    return Promise.resolve();
  }

  park(): Promise<void> {
    return Promise.resolve();
  }

  add({ id, name, device }: FuseFile): void {
    this.#names.set(id, name);
    this.devices.set(name, device);
  }

  rename(id: string, name: string): void {
    const before = this.#names.get(id) ?? '';
    const device = this.devices.get(before);
    this.devices.delete(before);
    this.#names.set(id, name);
    if (device !== undefined) this.devices.set(name, device);
  }

  remove(id: string): void {
    this.devices.delete(this.#names.get(id) ?? '');
    this.#names.delete(id);
  }

  openHandles(): { own: number; others: number } {
    return { own: 0, others: 0 };
  }

  setExclusive(): void {
    // Nobody else can open what no mount shows.
  }

  revokeHandles(): void {
    // There are no handles.
  }

  dropInheritedPages(): Promise<void> {
    return Promise.resolve();
  }

  dropMappedPages(): Promise<void> {
    return Promise.resolve();
  }

  unmount(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * A store on the calling thread: the same database, opened by the same code, without a writer
 * thread, which takes longer to start than all else that a checker does.
 */
class ThreadlessStore implements Store {
  readonly #database: Database.Database;
  readonly #prepared = new Map<string, Database.Statement>();

  constructor(options: StoreOptions) {
    this.#database = openDatabase(options, new Reserve(`${options.path}.reserve`));
  }

  commit(statements: readonly Statement[]): Promise<void> {
    const all = this.#database.transaction(() => {
      for (const { sql, params } of statements) this.#prepare(sql).run(...params);
    });
    return Promise.resolve().then(() => all.immediate());
  }

  all<Row>(sql: string, ...params: SqlValue[]): Row[] {
    // As in SqliteStore: the caller names the columns and their types.
    return this.#prepare(sql).all(...params) as Row[];
  }

  get<Row>(sql: string, ...params: SqlValue[]): Row | undefined {
    // As in `all`.
    return this.#prepare(sql).get(...params) as Row | undefined;
  }

  atOneMoment<Result>(read: () => Result): Result {
    return read();
  }

  scrub(): Promise<void> {
    this.#database.pragma('wal_checkpoint(TRUNCATE)');
    return Promise.resolve();
  }

  backlog(): Backlog {
    return { waiting: 0, oldestMs: 0 };
  }

  close(): Promise<void> {
    this.#database.close();
    return Promise.resolve();
  }

  #prepare(sql: string): Database.Statement {
    const statement = this.#prepared.get(sql) ?? this.#database.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

export interface Services {
  readonly stateDir: string;
  readonly keys: KeyService;
  readonly keyStore: Store;
  readonly disks: Disks;
  readonly diskStore: Store;
  readonly records: DiskRecords;
  readonly layers: LayerFiles;
  readonly session: DirectSession;
  /** What opening cleaned up and restored. */
  readonly recovery: readonly string[];
  readonly warnings: string[];
  /** In good order, as a daemon stops. */
  stop(): Promise<void>;
}

/** `threadless` for a checker; the daemon's own stores otherwise. */
export interface ServiceOptions {
  readonly threadless: boolean;
}

/** Opens in the daemon's order and with its code. Whatever was open is closed again on failure. */
export async function openServices(stateDir: string, options: ServiceOptions): Promise<Services> {
  const closing: (() => Promise<unknown>)[] = [];
  // All of it, whatever fails.
  const stop = async (): Promise<void> => {
    const failed: unknown[] = [];
    for (const close of closing.splice(0).reverse()) {
      await close().catch((error: unknown) => failed.push(error));
    }
    if (failed.length > 0) throw failed[0];
  };
  try {
    return { ...(await openAll(stateDir, options, closing)), stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function openAll(
  stateDir: string,
  { threadless }: ServiceOptions,
  closing: (() => Promise<unknown>)[],
): Promise<Omit<Services, 'stop'>> {
  const open = async (name: string, migrations: readonly string[]): Promise<Store> => {
    const store = { path: join(stateDir, name), migrations };
    const opened = threadless ? new ThreadlessStore(store) : await openStore(store);
    closing.push(() => opened.close());
    return opened;
  };
  const clock = systemClock(() => addon.bootTimeMs());
  prepareStateDir(stateDir);
  markStateDir(stateDir);
  const keyStore = await open('keys.db', keysDatabaseMigrations);
  const rootKeyPath = join(stateDir, 'root.key');
  const { service: keys } = await openKeyService({ store: keyStore, rootKeyPath, clock });
  closing.push(() => keys.close());
  const diskStore = await open('disks.db', diskMigrations);
  const warnings: string[] = [];
  const warn = (text: string): number => warnings.push(text);
  const runtimeDir = join(dirname(stateDir), 'run');
  // Not the daemon's business.
  if (!existsSync(runtimeDir)) mkdirSync(runtimeDir);
  const session = new DirectSession(runtimeDir);
  const disks = openDisks({
    stateDir,
    runtimeDir,
    store: diskStore,
    keys,
    audit: keyStore,
    addon,
    fuse: session satisfies FuseSession,
    host: addon,
    clock,
    warn,
  });
  closing.push(() => disks.shutdown());
  const recovery = await disks.restore();
  await keys.tick();
  const records = new DiskRecords(diskStore);
  const layers = new LayerFiles({ stateDir, addon, clock, records, warn });
  return {
    stateDir,
    keys,
    keyStore,
    disks,
    diskStore,
    records,
    layers,
    session,
    recovery,
    warnings,
  };
}
