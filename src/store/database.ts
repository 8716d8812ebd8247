/** Opens a keyvol database for writing and brings it to the newest version. */
import Database from 'better-sqlite3';
import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '../durable.js';
import { Fault } from '../fault.js';
import { damaged, errorCode, isOutOfSpace } from './sqlite-fault.js';
import type { Reserve } from './reserve.js';
import type { StoreOptions } from './store.js';

/** "KVOL": tells our databases from other programs'. */
const applicationId = 0x4b564f4c;
const busyTimeoutMs = 5000;

/**
 * Opens, or creates with mode 0600, the database at `options.path` and runs its migrations.
 * Throws STATE_DIR_NEWER, STATE_DIR_UNUSABLE, or SQLite's and the system's errors.
 */
export function openDatabase(options: StoreOptions, reserve: Reserve): Database.Database {
  const isNew = prepareFile(options.path);
  takeReserve(reserve, isNew);
  try {
    return openAndMigrate(options);
  } catch (error) {
    // A full filesystem has no room even for the log of a database that is only opened.
    const full = isOutOfSpace(error) || errorCode(error).startsWith('SQLITE_CANTOPEN');
    if (!full || !reserve.release()) throw error;
    return openAndMigrate(options);
  }
}

/** Makes an empty private file, which SQLite takes for an empty database. True if it was made. */
function prepareFile(path: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status !== undefined) {
    if (!status.isFile()) throw new Fault('STATE_DIR_UNUSABLE', `${path} is not a regular file`);
    if ((status.mode & 0o077) !== 0) chmodSync(path, 0o600);
    return false;
  }
  closeSync(openSync(path, 'wx', 0o600));
  syncDirectory(dirname(path));
  return true;
}

/** A new database is not begun without its reserve; an old one must open on a full disk too. */
function takeReserve(reserve: Reserve, isNew: boolean): void {
  try {
    reserve.take();
  } catch (error) {
    if (isNew || !isOutOfSpace(error)) throw error;
  }
}

function openAndMigrate({ path, migrations, logs = [] }: StoreOptions): Database.Database {
  const database = new Database(path, { fileMustExist: true, timeout: busyTimeoutMs });
  try {
    refuseForeign(database, path);
    configure(database);
    refuseDamaged(database, path, logs);
    migrate(database, path, migrations);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function refuseForeign(database: Database.Database, path: string): void {
  const tables = database.prepare('SELECT count(*) FROM sqlite_master').pluck().get();
  const owner = database.pragma('application_id', { simple: true });
  if (tables === 0 || owner === applicationId) return;
  throw new Fault('STATE_DIR_UNUSABLE', `${path} is a database of another program`, {
    hint: 'give another state directory',
  });
}

/** Records that failing storage has changed must not be acted upon: what they no longer name goes. */
function refuseDamaged(database: Database.Database, path: string, logs: readonly string[]): void {
  const tables = database
    .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .pluck()
    .all();
  const findings = tables
    .filter((table) => !logs.includes(table))
    .map((table) => String(database.pragma(`integrity_check("${table}")`, { simple: true })));
  const problem = findings.find((finding) => finding !== 'ok');
  if (problem !== undefined) throw damaged(path, problem);
  const dangling = database.pragma('foreign_key_check');
  if (Array.isArray(dangling) && dangling.length > 0) {
    throw damaged(path, `${dangling.length} of its records name others that are not there`);
  }
}

function configure(database: Database.Database): void {
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('secure_delete = ON');
  database.pragma('foreign_keys = ON');
  database.pragma('trusted_schema = OFF');
  database.pragma('temp_store = MEMORY');
  // Small logs, for they must fit in the reserve.
  database.pragma('wal_autocheckpoint = 128');
  database.pragma(`journal_size_limit = ${512 * 1024}`);
}

function migrate(database: Database.Database, path: string, migrations: readonly string[]): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version > migrations.length) {
    throw new Fault(
      'STATE_DIR_NEWER',
      `${path} has version ${version}, this keyvol knows versions up to ${migrations.length}`,
      { hint: 'use the newer keyvol that wrote it' },
    );
  }
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue;
    database.transaction(() => {
      database.exec(migration);
      database.pragma(`application_id = ${applicationId}`);
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}
