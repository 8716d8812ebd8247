/** A whole set of services in a temporary directory, with the FUSE mount, ended by the test. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from '../../dist/device/index.js';
import type { FuseSession } from '../../dist/device/index.js';
import { systemClock, type Clock } from '../../dist/clock.js';
import { diskMigrations } from '../../dist/disk/migrations.js';
import { openDisks, type Disks } from '../../dist/image/disks.js';
import type { KeyService } from '../../dist/kms/key-service.js';
import { openKeyService } from '../../dist/kms/keys.js';
import { keysDatabaseMigrations } from '../../dist/kms/migrations.js';
import { openStore } from '../../dist/store/open.js';
import type { Store } from '../../dist/store/store.js';
import { cleanStaleMounts } from '../../dist/volume/stale-mounts.js';
import { tempDirectory, type Teardown } from './temp.js';

export interface State {
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly disks: Disks;
  readonly keys: KeyService;
  readonly store: Store;
  readonly audit: Store;
  readonly fuse: FuseSession;
  /** What the services warned of. */
  readonly warnings: string[];
  /** What opening cleaned up and restored. */
  readonly recovery: readonly string[];
  /** Stops as a daemon does. Safe to repeat. */
  stop(): Promise<void>;
}

export const caller = { principal: 'test' };
export const mib = 1048576;
const realClock = systemClock(() => addon.bootTimeMs());

/** Fresh directories, opened, and stopped at the end of the test. */
export async function newState(t: Teardown, clock: Clock = realClock): Promise<State> {
  return openState(t, tempDirectory(t), clock);
}

/** Opens the services over `directory`, which may hold what a former state left. */
export async function openState(
  t: Teardown,
  directory: string,
  clock: Clock = realClock,
): Promise<State> {
  const state = await startState(directory, clock);
  t.teardown(() => state.stop());
  return state;
}

/** As openState, but the caller stops it. */
export async function startState(directory: string, clock: Clock = realClock): Promise<State> {
  const stateDir = join(directory, 'state');
  const runtimeDir = join(directory, 'run');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  // A dead mount can be neither entered nor made again: it goes first.
  const cleaned = await cleanStaleMounts(runtimeDir, addon);
  mkdirSync(join(runtimeDir, 'disks'), { recursive: true, mode: 0o700 });
  const mountPoint = join(runtimeDir, 'disks');
  const fuse = await addon.mountFuse({ mountPoint, threads: 2, allowOther: false });
  const audit = await openStore({
    path: join(stateDir, 'keys.db'),
    migrations: keysDatabaseMigrations,
  });
  const rootKeyPath = join(stateDir, 'root.key');
  const { service: keys } = await openKeyService({ store: audit, rootKeyPath, clock });
  const store = await openStore({ path: join(stateDir, 'disks.db'), migrations: diskMigrations });
  const warnings: string[] = [];
  const warn = (text: string): number => warnings.push(text);
  const services = { store, keys, audit, addon, fuse, host: addon };
  const disks = openDisks({ stateDir, runtimeDir, ...services, clock, warn });
  const recovery = [...cleaned, ...(await disks.restore())];
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await disks.shutdown();
    await fuse.unmount();
    await keys.close();
    await store.close();
    await audit.close();
  };
  return {
    stateDir,
    runtimeDir,
    disks,
    keys,
    store,
    audit,
    fuse,
    warnings,
    recovery,
    stop: () => (stopped ??= stop()),
  };
}

/** The fault code that `work` is refused with, or "done". */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** Names, sizes and contents of all containers, and the records of disks, to see that nothing changed. */
export function fingerprint(state: State): string {
  const hash = createHash('sha256');
  const layers = join(state.stateDir, 'layers');
  for (const name of readdirSync(layers).sort()) {
    hash.update(`${name} ${statSync(join(layers, name)).size} `);
    hash.update(readFileSync(join(layers, name)));
  }
  for (const table of ['disks', 'layers', 'attachments']) {
    hash.update(JSON.stringify(state.store.all(`SELECT * FROM ${table} ORDER BY 1`)));
  }
  return hash.digest('hex');
}

/** Host bytes of all containers. */
export function containerBytes(state: State): number {
  const layers = join(state.stateDir, 'layers');
  return readdirSync(layers).reduce(
    (sum, name) => sum + statSync(join(layers, name)).blocks * 512,
    0,
  );
}
