/** A key service in a temporary directory, with a clock that the test turns. */
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { keysDatabaseMigrations } from '../../dist/kms/migrations.js';
import { openKeyService } from '../../dist/kms/keys.js';
import { openStore } from '../../dist/store/open.js';
import { tempDirectory } from './temp.js';
import type { Clock } from '../../dist/clock.js';
import type { KeyService } from '../../dist/kms/key-service.js';
import type { Store } from '../../dist/store/store.js';
import type { Teardown } from './temp.js';

export const me = { principal: 'tester' };

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export class FakeClock implements Clock {
  wallMs = Date.UTC(2030, 0, 1);
  bootMs = 5_000;

  nowMs(): number {
    return this.wallMs;
  }

  bootTimeMs(): number {
    return this.bootMs;
  }

  /** Time passes, on both clocks. */
  pass(ms: number): void {
    this.wallMs += ms;
    this.bootMs += ms;
  }
}

export class TestKms {
  readonly directory: string;
  readonly clock = new FakeClock();
  rootKeyCreated = false;
  rootKeyWarning: string | undefined;
  #open: { service: KeyService; store: Store } | undefined;

  constructor(directory: string) {
    this.directory = directory;
  }

  get service(): KeyService {
    return this.#opened.service;
  }

  get store(): Store {
    return this.#opened.store;
  }

  get databasePath(): string {
    return join(this.directory, 'keys.db');
  }

  get rootKeyPath(): string {
    return join(this.directory, 'root.key');
  }

  async start(): Promise<void> {
    const store = await openStore({ path: this.databasePath, migrations: keysDatabaseMigrations });
    try {
      const { clock, rootKeyPath } = this;
      const opened = await openKeyService({ store, rootKeyPath, clock });
      this.rootKeyCreated = opened.rootKeyCreated;
      this.rootKeyWarning = opened.rootKeyWarning;
      this.#open = { service: opened.service, store };
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.service.close();
    await open?.store.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Changes the stopped database behind the service's back. */
  edit(sql: string, ...params: unknown[]): void {
    const database = new Database(this.databasePath);
    try {
      database.prepare(sql).run(...params);
    } finally {
      database.close();
    }
  }

  get #opened(): { service: KeyService; store: Store } {
    if (this.#open === undefined) throw new Error('the key service is stopped');
    return this.#open;
  }
}

/** Started, and stopped at the end of the test. */
export async function testKms(t: Teardown, directory = tempDirectory(t)): Promise<TestKms> {
  const kms = new TestKms(directory);
  t.teardown(() => kms.stop());
  await kms.start();
  return kms;
}

export const contextOf = (layer: string, generation = 1, keyId = ''): Record<string, string> => ({
  layer,
  generation: String(generation),
  key_id: keyId,
});
